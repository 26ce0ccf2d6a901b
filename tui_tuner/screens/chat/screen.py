"""The Chat station: base and tuned answer the same question, side by side."""

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.errors import TunerError
from tui_tuner.hosting.chat.process import ChatProcess
from tui_tuner.screens.chat.desk import ChatDesk
from tui_tuner.screens.chat.prompt_box import PromptBox
from tui_tuner.screens.chat.status import nothing_words, readout, titles, vote_words
from tui_tuner.screens.chat.transcript import Transcript
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.sources.desk import ResultDesk
from tui_tuner.screens.sources.results import Result
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName

LOG_NAME = "chat.log"
LEAVES = "enter sends · esc leaves this line, enter comes back"
HELD_BACK = "asked when the model is there · esc takes it back"
FLUSH_SECONDS, REMOTE_FLUSH_SECONDS = 0.11, 0.25
"""How often what was written is drawn: more often costs keys their quickness and shows nobody more."""


class ResultsRead(Message):
    """The results on this machine were listed."""

    def __init__(self, results: tuple[Result, ...]) -> None:
        self.results = results
        super().__init__()


class ModelStarted(Message):
    """A process begins to load the model, or could not be started."""

    def __init__(self, process: ChatProcess | None, error: TunerError | None = None) -> None:
        self.process = process
        self.error = error
        super().__init__()


class ChatScreen(Station):
    """Left and right transcript, and the line where a question is typed."""

    STATION: ClassVar[StationName | None] = "chat"
    CSS_PATH = "chat.tcss"
    HELP = """\
The same question to the base model and to the tuned one, from the same seed, so that what differs is the adapter.

**F2 blind**: the sides are shuffled and nameless; each question stands alone; you say which answer is better, and only
then see which was which. Your votes are kept for this adapter: a preference that you cannot fool yourself about.

The model stays loaded until F8, until a run begins here, which gets its memory, or until you leave `tuner`."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "talk", "talk", id="chat.open"),
        Binding("f5", "prefer('left')", "prefer A", id="chat.left"),
        Binding("f6", "prefer('right')", "B", id="chat.right"),
        Binding("f7", "prefer('tie')", "even", id="chat.even"),
        Binding("ctrl+r", "reroll", "re-roll", id="chat.reroll"),
        Binding("f2", "blind", "blind", id="chat.blind"),
        Binding("f3", "settings", "settings", id="chat.settings"),
        Binding("f4", "choose", "model", id="chat.model"),
        Binding("ctrl+l", "clear", "clear", id="chat.clear"),
        Binding("f8", "unload", "unload", id="chat.unload"),
        Binding("escape", "back", "stop / leave line", show=False, id="chat.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._desk: ChatDesk | None = None
        self._results: tuple[Result, ...] = ()
        self._result_desk: ResultDesk | None = None
        self._timer: Timer | None = None
        self._is_held_back = False
        """Whether a question was sent while the model is loaded still: it is asked when the model is there."""

    @property
    def desk(self) -> ChatDesk:
        if self._desk is None:
            self._desk = ChatDesk(self.tuner.environment.state_folder, self.tuner.environment.clock)
        return self._desk

    def help_text(self) -> str:
        """With the present settings and votes."""
        sampling, tally = self.desk.settings.sampling, self.desk.tally
        how = "always the likeliest token" if sampling.temperature == 0 else f"temperature {sampling.temperature:g}"
        return (
            f"{self.HELP}\n\n**Now**: {how}, top_p {sampling.top_p:g}, at most {sampling.max_tokens:,} tokens, "
            f"seed {sampling.seed} (F3 changes them). Your votes for this adapter: tuned {tally.tuned}, base "
            f"{tally.base}, even {tally.tie}."
        )

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="chat-column"):
            yield Static(classes="panel chat-nothing")
            with Horizontal(classes="chat-sides"):
                yield Transcript("left", self.glyphs)
                yield Transcript("right", self.glyphs)
            yield Static(classes="chat-vote")
            with Vertical(classes="panel chat-ask"):
                yield PromptBox()

    def on_mount(self) -> None:
        self.tuner.before_run.append(self.make_room)

    def wake(self) -> None:
        seconds = REMOTE_FLUSH_SECONDS if self.tuner.environment.is_remote else FLUSH_SECONDS
        self._timer = self._timer or self.set_interval(seconds, self._look)
        self._timer.resume()
        self._list()
        self._show()

    def rest(self) -> None:
        if self._timer is not None:
            self._timer.pause()

    def on_unmount(self) -> None:
        if self._desk is not None and self._desk.process is not None:
            self._desk.process.kill()

    # The model.

    @work(thread=True, exclusive=True, group="results", exit_on_error=False)
    def _list(self) -> None:
        self._result_desk = self._result_desk or ResultDesk(self.tuner.environment)
        self.post_message(ResultsRead(self._result_desk.results()))

    @on(ResultsRead)
    def results_read(self, message: ResultsRead) -> None:
        self._results = message.results
        open_run = self.tuner.run_desk.run
        named = [one for one in self._results if open_run is not None and one.title == open_run.run_id]
        suggestion = next(iter((*named, *self._results)), None)
        self.desk.load = replace(self.desk.load, is_listed=True, suggestion=suggestion)
        self._show()

    def open_result(self, result: Result) -> None:
        """Load what there is to talk to; the conversation begins anew."""
        self._start(result, self.desk.begin(result))
        self._show()
        self.set_focus(self.query_one(PromptBox))  # a question can be typed while the model is loaded

    @work(thread=True, group="load", exit_on_error=False)
    def _start(self, result: Result, old: ChatProcess | None) -> None:
        environment = self.tuner.environment
        if old is not None:
            old.close()  # its memory must be free before the next one is loaded
        try:
            process = ChatProcess(str(result.path), environment.runs_folder, environment.state_folder / LOG_NAME)
        except TunerError as error:
            self.post_message(ModelStarted(None, error))
            return
        self.post_message(ModelStarted(process))

    @on(ModelStarted)
    def model_started(self, message: ModelStarted) -> None:
        is_current = message.process is None or str(self._wanted_path()) == message.process.source
        if message.process is not None and (self.desk.process is not None or not is_current):
            message.process.kill()  # another one was asked for meanwhile
            return
        self.desk.process = message.process
        if message.error is not None:
            self.desk.lost()
            self._tell_lost(message.error.message, message.error.hint)

    def _wanted_path(self) -> object:
        load = self.desk.load
        return load.result.path if load.result is not None and load.is_loading else None

    def _tell_lost(self, message: str, hint: str = "", detail: str = "") -> None:
        from tui_tuner.screens.dialogs.problem import ProblemDialog

        self.app.push_screen(ProblemDialog("The model cannot answer", message, hint, detail))
        self._show()

    def _look(self) -> None:
        was_ready = self.desk.load.ready is not None
        is_new, failed = self.desk.poll()
        if is_new:
            self._show()
        if failed is not None:
            self._tell_lost(failed.message, failed.hint, failed.detail)
        if not was_ready and self.desk.load.ready is not None and self._is_held_back:
            self.query_one(PromptBox).action_send()

    def _show(self) -> None:
        if not self.has_body:
            return
        desk = self.desk
        is_ready = desk.load.ready is not None or bool(desk.talk.exchanges)
        # Without a model there is nothing to type, and the keys 1 to 8 must not end up in a line of text.
        self.query_one(PromptBox).disabled = not (is_ready or desk.load.is_loading)
        self.set_class(not is_ready, "-nothing")
        self.set_class(desk.load.is_loading, "-loading")
        self._is_held_back = self._is_held_back and (desk.load.is_loading or desk.can_ask)
        self.set_class(not desk.has_sides, "-one-sided")
        if not is_ready:
            self.query_one(".chat-nothing", Static).update(nothing_words(desk.load))
        names = titles(desk.talk, desk.load, is_blind=desk.is_blind)
        for place in ("left", "right"):
            side = self.query_one(f".transcript.-{place}", Transcript)
            side.border_title = shown_line(names[place], limit=60)
            side.show(desk.talk, self.glyphs)
        words = vote_words(desk.talk)
        self.set_class(bool(words), "-voting")
        self.query_one(".chat-vote", Static).update(Content(words))
        panel = self.query_one(".chat-ask")
        panel.border_title = Content("Ask both" if desk.has_sides else "Ask")
        panel.border_subtitle = Content(HELD_BACK if self._is_held_back else LEAVES)
        self.show_readout(readout(desk.talk, desk.settings.sampling, desk.tally, self.glyphs, is_blind=desk.is_blind))
        self.refresh_bindings()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        desk, last = self.desk, self.desk.talk.last
        can_talk = desk.load.ready is not None or desk.load.is_loading or desk.load.suggestion is not None
        can_vote = last is not None and last.can_be_voted
        allowed: dict[str, bool | None] = {
            "talk": can_talk and not isinstance(self.focused, PromptBox),
            "prefer": True if can_vote else None if desk.is_blind else False,
            "reroll": True if desk.can_reroll else None,
            "clear": True if last is not None else None,
            "blind": True if desk.has_sides else None,
            "unload": True if desk.process is not None else None,
        }
        return allowed.get(action, True)

    @on(PromptBox.Sent)
    def sent(self, message: PromptBox.Sent) -> None:
        question = message.text.strip()
        if question and self.desk.can_ask:
            self._is_held_back = False
            self.query_one(PromptBox).clear()
            self.desk.ask(question)
            self._show()
        elif question and self.desk.load.is_loading:
            self._is_held_back = True
            self._show()

    def action_talk(self) -> None:
        """Into the line, or, where there is no model yet, load the one that is offered."""
        if self.desk.load.ready is not None or self.desk.load.is_loading:
            self.set_focus(self.query_one(PromptBox))
        elif self.desk.load.suggestion is not None:
            self.open_result(self.desk.load.suggestion)

    def action_reroll(self) -> None:
        if self.desk.settings.sampling.temperature == 0:
            self.notify("Temperature is 0: the answers would be the same. F3 changes it.", markup=False)
        elif self.desk.can_reroll:
            self.desk.reroll()
            self._show()

    def action_blind(self) -> None:
        self.desk.is_blind = not self.desk.is_blind
        if self.desk.is_blind:
            self.notify("Blind: each question stands alone, names appear after your vote.", markup=False)
        self._show()

    def action_prefer(self, choice: str) -> None:
        last = self.desk.talk.last
        if last is None or not last.can_be_voted:
            return
        try:
            self.desk.vote("tie" if choice == "tie" else last.side_at("left" if choice == "left" else "right"))
        except TunerError as error:
            self.tuner.tell(error)
        self._show()

    @work(exclusive=True, group="dialog")
    async def action_settings(self) -> None:
        from tui_tuner.screens.chat.settings_dialog import SettingsDialog

        settings = await self.app.push_screen_wait(SettingsDialog(self.desk.settings))
        if settings is None:
            return
        try:
            self.desk.use(settings)
        except TunerError as error:
            self.tuner.tell(error)
        self._show()

    @work(exclusive=True, group="dialog")
    async def action_choose(self) -> None:
        from tui_tuner.screens.sources.picker import ResultPicker

        picker = ResultPicker("Talk to", self._results, self.tuner.environment.clock())
        result = await self.app.push_screen_wait(picker)
        if result is not None:
            self.open_result(result)

    def action_clear(self) -> None:
        self.desk.clear()
        self._show()

    @work(thread=True, group="load", exit_on_error=False)
    def _close(self, process: ChatProcess) -> None:
        process.close()

    def make_room(self) -> None:
        """A run begins, and wants the memory that the model of the chat has."""
        desk = self._desk
        if desk is None or (desk.process is None and not desk.load.is_loading):
            return
        old = desk.release()
        if old is not None:
            old.kill()
            self._close(old)
        self._show()
        self.notify("The chat's model was let go: the run gets its memory. F4 there loads it again.", markup=False)

    def action_unload(self) -> None:
        old = self.desk.unload()
        if old is not None:
            self._close(old)
        self._show()

    def action_back(self) -> None:
        if self.desk.talk.is_answering:
            self.desk.stop()
        elif self._is_held_back:
            self._is_held_back = False
            self._show()
        elif isinstance(self.focused, PromptBox):
            transcript = self.query_one(".transcript.-left", Transcript)
            self.set_focus(None if self.has_class("-nothing") else transcript)

    @on(Transcript.CopyWanted)
    def copy_answer(self, message: Transcript.CopyWanted) -> None:
        from tui_tuner.screens.terminal.clipboard import copy_text

        last = self.desk.talk.last
        answer = last.answer(last.side_at(message.place)) if last is not None else None
        if answer is not None and answer.text:
            copy_text(self.app, answer.text)
