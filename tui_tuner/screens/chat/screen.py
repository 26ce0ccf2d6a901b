"""The Chat station: base and tuned answer the same question, side by side."""

import random
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
from tui_tuner.hosting.chat.messages import ChatEvent, ChatFailed, ChatReady, StopAnswers
from tui_tuner.hosting.chat.process import ChatProcess
from tui_tuner.screens.chat.kept import (
    ChatSettings,
    KeptVote,
    Tally,
    count_votes,
    keep_vote,
    load_settings,
    save_settings,
)
from tui_tuner.screens.chat.prompt_box import PromptBox
from tui_tuner.screens.chat.status import LoadState, nothing_words, readout, titles, vote_words
from tui_tuner.screens.chat.talk import Answer, Conversation, Exchange, Vote, ask_of
from tui_tuner.screens.chat.transcript import Transcript
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.sources.desk import ResultDesk
from tui_tuner.screens.sources.results import Result
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName

LOG_NAME = "chat.log"
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

The model stays loaded until F8, or until you leave `tuner`; a run that trains may need that memory."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open_suggested", "Talk", id="chat.open"),
        Binding("ctrl+r", "reroll", "Re-roll", id="chat.reroll"),
        Binding("f5", "prefer('left')", "Prefer left", id="chat.left"),
        Binding("f6", "prefer('right')", "right", id="chat.right"),
        Binding("f7", "prefer('tie')", "even", id="chat.even"),
        Binding("f2", "blind", "Blind", id="chat.blind"),
        Binding("f3", "settings", "Settings", id="chat.settings"),
        Binding("f4", "choose", "Model", id="chat.model"),
        Binding("ctrl+l", "clear", "Clear", id="chat.clear"),
        Binding("f8", "unload", "Unload", id="chat.unload"),
        Binding("escape", "back", "Stop / leave line", show=False, id="chat.back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._talk = Conversation()
        self._load = LoadState()
        self._loading_since = 0.0
        self._process: ChatProcess | None = None
        self._settings = ChatSettings()
        self._tally = Tally()
        self._results: tuple[Result, ...] = ()
        self._desk: ResultDesk | None = None
        self._timer: Timer | None = None
        self._is_blind = False
        self._number = 0
        self._coin = random.SystemRandom()

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="chat-column"):
            yield Static(classes="panel chat-nothing")
            with Horizontal(classes="chat-sides"):
                yield Transcript("left", self.glyphs)
                yield Transcript("right", self.glyphs)
            yield Static(classes="chat-vote")
            with Vertical(classes="panel chat-ask") as panel:
                panel.border_subtitle = Content("⏎ sends · esc leaves this line")
                yield PromptBox()

    def on_mount(self) -> None:
        self._settings = load_settings(self.tuner.environment.state_folder)

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
        if self._process is not None:
            self._process.kill()

    # The model.

    @work(thread=True, exclusive=True, group="results", exit_on_error=False)
    def _list(self) -> None:
        self._desk = self._desk or ResultDesk(self.tuner.environment)
        self.post_message(ResultsRead(self._desk.results()))

    @on(ResultsRead)
    def results_read(self, message: ResultsRead) -> None:
        self._results = message.results
        self._load = replace(self._load, is_listed=True, suggestion=self._suggested())
        self._show()

    def _suggested(self) -> Result | None:
        """The run that is looked at, if it has a result; else the newest one."""
        open_run = self.tuner.run_desk.run
        named = [one for one in self._results if open_run is not None and one.title == open_run.run_id]
        return next(iter((*named, *self._results)), None)

    def open_result(self, result: Result) -> None:
        """Load what there is to talk to; the conversation begins anew."""
        self._talk = Conversation()
        self._tally = count_votes(str(result.path), self.tuner.environment.state_folder)
        self._loading_since = self.tuner.environment.clock()
        self._load = replace(self._load, result=result, ready=None, is_loading=True, seconds=0.0)
        self._start(result, self._process)
        self._process = None
        self._show()

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
        if self._process is not None:
            self._process.kill()  # two were asked for in a row
        self._process = message.process
        if message.error is not None:
            self._lost(message.error.message, message.error.hint)

    def _lost(self, message: str, hint: str = "", detail: str = "") -> None:
        from tui_tuner.screens.dialogs.problem import ProblemDialog

        self._talk = self._talk.broken_off()
        self._load = replace(self._load, ready=None, is_loading=False)
        self._process = None
        self.app.push_screen(ProblemDialog("The model cannot answer", message, hint, detail))
        self._show()

    # What comes from it.

    def _look(self) -> None:
        events = self._process.poll() if self._process is not None else []
        for event in events:
            self._take(event)
        if self._load.is_loading:
            self._load = replace(self._load, seconds=self.tuner.environment.clock() - self._loading_since)
        if events or self._load.is_loading:
            self._show()

    def _take(self, event: ChatEvent) -> None:
        if isinstance(event, ChatReady):
            self._load = replace(self._load, ready=event, is_loading=False)
            self._show()
            self.query_one(PromptBox).focus()
        elif isinstance(event, ChatFailed):
            self._lost(event.message, event.hint, event.detail)
        else:
            self._talk = self._talk.after(event)

    def _show(self) -> None:
        if not self.has_body:
            return
        is_ready = self._load.ready is not None or bool(self._talk.exchanges)
        # Without a model there is nothing to type, and the keys 1 to 8 must not end up in a line of text.
        self.query_one(PromptBox).disabled = not is_ready
        self.set_class(not is_ready, "-nothing")
        self.set_class(self._load.ready is not None and not self._load.ready.has_adapter, "-one-sided")
        if not is_ready:
            self.query_one(".chat-nothing", Static).update(nothing_words(self._load))
        names = titles(self._talk, self._load, is_blind=self._is_blind)
        for place in ("left", "right"):
            side = self.query_one(f".transcript.-{place}", Transcript)
            side.border_title = shown_line(names[place], limit=60)
            side.show(self._talk, self.glyphs)
        words = vote_words(self._talk)
        self.set_class(bool(words), "-voting")
        self.query_one(".chat-vote", Static).update(Content(words))
        is_both = self._load.ready is None or self._load.ready.has_adapter
        self.query_one(".chat-ask").border_title = Content("Ask both" if is_both else "Ask")
        self.show_readout(
            readout(self._talk, self._settings.sampling, self._tally, self.glyphs, is_blind=self._is_blind)
        )
        self.refresh_bindings()

    # Asking.

    @on(PromptBox.Sent)
    def sent(self, message: PromptBox.Sent) -> None:
        question = message.text.strip()
        if question and self._load.ready is not None and not self._talk.is_answering:
            self.query_one(PromptBox).clear()
            self._ask(question, self._settings.sampling.seed)

    def _ask(self, question: str, seed: int) -> None:
        assert self._load.ready is not None and self._process is not None
        has_adapter = self._load.ready.has_adapter
        is_blind = self._is_blind and has_adapter
        if is_blind:
            self._talk = Conversation()
        self._number += 1
        exchange = Exchange(
            number=self._number,
            question=question,
            seed=seed,
            base=Answer(),
            tuned=Answer() if has_adapter else None,
            is_blind=is_blind,
            is_swapped=is_blind and self._coin.random() < 0.5,
        )
        self._talk = self._talk.asked(exchange)
        self._process.send(ask_of(self._talk, self._settings.sampling, self._settings.system))
        self._show()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        last = self._talk.last
        if action == "open_suggested":
            return self._load.ready is None and not self._load.is_loading and self._load.suggestion is not None
        if action == "prefer":
            return True if last is not None and last.can_be_voted else False if not self._is_blind else None
        if action == "reroll":
            return True if last is not None and last.is_complete and self._load.ready is not None else None
        if action == "clear":
            return True if last is not None else None
        if action == "blind":
            return True if self._load.ready is None or self._load.ready.has_adapter else None
        if action == "unload":
            return True if self._process is not None else None
        return True

    def action_open_suggested(self) -> None:
        if self._load.suggestion is not None:
            self.open_result(self._load.suggestion)

    def action_reroll(self) -> None:
        last = self._talk.last
        if last is None or not last.is_complete:
            return
        if self._settings.sampling.temperature == 0:
            self.notify("Temperature is 0: the answers would be the same. F3 changes it.", markup=False)
            return
        self._talk = self._talk.without_last()
        self._ask(last.question, last.seed + 1)

    def action_blind(self) -> None:
        self._is_blind = not self._is_blind
        if self._is_blind:
            self.notify("Blind: each question stands alone, names appear after your vote.", markup=False)
        self._show()

    def action_prefer(self, choice: str) -> None:
        last = self._talk.last
        if last is None or not last.can_be_voted or last.base is None or last.tuned is None:
            return
        vote: Vote = "tie" if choice == "tie" else last.side_at("left" if choice == "left" else "right")
        kept = KeptVote(
            time=self.tuner.environment.clock(),
            source=str(self._load.result.path) if self._load.result else "",
            vote=vote,
            question=last.question,
            base=last.base.text,
            tuned=last.tuned.text,
            system=self._settings.system,
            sampling=self._settings.sampling.model_copy(update={"seed": last.seed}),
        )
        try:
            keep_vote(kept, self.tuner.environment.state_folder)
        except TunerError as error:
            self.tuner.tell(error)
        self._tally = self._tally.with_vote(vote)
        self._talk = self._talk.voted(vote)
        self._show()

    @work(exclusive=True, group="dialog")
    async def action_settings(self) -> None:
        from tui_tuner.screens.chat.settings_dialog import SettingsDialog

        settings = await self.app.push_screen_wait(SettingsDialog(self._settings))
        if settings is None:
            return
        self._settings = settings
        try:
            save_settings(settings, self.tuner.environment.state_folder)
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
        self._stop()
        self._talk = Conversation()
        self._show()

    @work(thread=True, group="load", exit_on_error=False)
    def _close(self, process: ChatProcess) -> None:
        process.close()

    def action_unload(self) -> None:
        if self._process is None:
            return
        self._close(self._process)
        self._process = None
        self._talk = Conversation()
        self._load = replace(self._load, ready=None, is_loading=False)
        self._show()

    def action_back(self) -> None:
        if self._talk.is_answering:
            self._stop()
        elif isinstance(self.focused, PromptBox):
            sides = self.query_one(".transcript.-left", Transcript)
            self.set_focus(sides)
        else:
            self.query_one(PromptBox).focus()

    def _stop(self) -> None:
        if self._process is not None and self._talk.is_answering:
            self._process.send(StopAnswers())

    @on(Transcript.CopyWanted)
    def copy_answer(self, message: Transcript.CopyWanted) -> None:
        from tui_tuner.screens.clipboard import copy_text

        last = self._talk.last
        answer = last.answer(last.side_at(message.place)) if last is not None else None
        if answer is not None and answer.text:
            copy_text(self.app, answer.text)
