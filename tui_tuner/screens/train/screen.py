"""The Train station: a run, living or over, and all that can be asked of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.controls import RunControls
from tui_tuner.errors import TunerError
from tui_tuner.events import RunState
from tui_tuner.hardware import GpuMeters, process_memory
from tui_tuner.hosting.run_view import RunView
from tui_tuner.screens.empty_words import empty_words
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.train.journal_panel import JournalPanel
from tui_tuner.screens.train.meters import Gauges, rate_factor
from tui_tuner.screens.train.panels import GaugePanel, LossChart, SamplePanel
from tui_tuner.screens.train.reading import read_run, resume_words
from tui_tuner.screens.train.reading_line import ReadingLine
from tui_tuner.screens.train.status import attached_words, status_line, title_of

CATCH_UP_SECONDS = 0.03
METER_SECONDS = 1.0
ALONE_SECONDS = 5.0
"""A run that was started just now was not alone."""
MAX_RATE, MIN_RATE = 8.0, 0.125
NOTHING = "No run is open.\n\n1  lists your runs; enter opens one\n5  shows your recipe; g there starts it"


class MachineRead(Message):
    """The meters of the machine were read."""

    def __init__(self, gpu: GpuMeters | None, process_bytes: int | None) -> None:
        self.gpu = gpu
        self.process_bytes = process_bytes
        super().__init__()


class TrainScreen(Station):
    """Chart, gauges, journal and answers of `tuner.run_desk`'s run."""

    STATION: ClassVar[StationName | None] = "train"
    CSS_PATH = "train.tcss"
    HELP = """\
A run as it happens. It lives in a process of its own: closing this window, losing the connection or leaving the app
does not end it; `tuner attach` shows it again, from any login."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause", id="train.pause"),
        Binding("s", "wish('save_now', 'saving after this step')", "save now", id="train.save"),
        Binding("e", "wish('evaluate_now', 'evaluating after this step')", "evaluate", id="train.evaluate"),
        Binding("a", "wish('sample_now', 'answering after this step')", "answer", id="train.sample"),
        Binding("x", "stop", "stop", id="train.stop"),
        Binding("plus,equals_sign", "rate(2.0)", "rate x2", id="train.faster"),
        Binding("minus", "rate(0.5)", "rate ½", id="train.slower"),
        Binding("d", "detach", "detach", id="train.detach"),
        Binding("r", "resume", "resume", id="train.resume"),
        Binding("v", "answers", "answers", id="train.answers"),
        Binding("z", "zoom", "zoom", id="train.zoom"),
        Binding("escape", "unzoom", "whole screen", show=False, id="train.unzoom"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._meter_timer: Timer | None = None
        self._machine = MachineRead(None, None)
        self._rate, self._applied_rate = 1.0, 1.0
        self._told_dead = self._greeted = ""
        self.key_labels = {"train.pause": "pause"}
        self._shown: RunView | None = None
        self._stand: tuple[object, ...] = ()

    def compose_body(self) -> Iterator[Widget]:
        glyphs = self._current_glyphs
        yield Static(empty_words(NOTHING), classes="panel train-nothing")
        with Vertical(classes="column train-left"):
            yield LossChart(glyphs)
            yield ReadingLine()
            yield JournalPanel(glyphs)
            yield SamplePanel(glyphs)
        with Vertical(classes="column train-right"):
            yield GaugePanel(glyphs)

    def wake(self) -> None:
        self._timer = self._timer or self.set_interval(self.tuner.environment.frame_seconds, self._look)
        self._meter_timer = self._meter_timer or self.set_interval(METER_SECONDS, self._read_machine)
        for timer in (self._timer, self._meter_timer):
            timer.resume()
        self._stand = ()
        self._look(is_forced=True)
        self._read_machine()
        self.query_one(LossChart).focus()

    def rest(self) -> None:
        for timer in (self._timer, self._meter_timer):
            if timer is not None:
                timer.pause()

    @property
    def view(self) -> RunView | None:
        return self.tuner.run_desk.view

    # Looking.

    def _look(self, *, is_forced: bool = False) -> None:
        self.tuner.run_desk.poll()
        has_run = self.tuner.run_desk.run is not None
        self.set_class(not has_run, "-nothing")
        view = self.view
        if view is None:
            self.show_readout(Content("starting…" if has_run else "no run is open"))
            self.query_one(LossChart).show_state(RunState())
            return
        if not view.is_caught_up:
            self.set_timer(CATCH_UP_SECONDS, self._look)
        # The app polls too: what it took must be drawn as well.
        if view is not self._shown or is_forced:
            self._shown = view
            self._show(view)

    def _show(self, view: RunView) -> None:
        state = view.state
        if rate_factor(state) != self._applied_rate:
            # Another watcher's wish, too: x2 and ½ go on from there.
            self._rate = self._applied_rate = rate_factor(state)
        self.query_one(LossChart).show_state(state)
        self.query_one(SamplePanel).show_state(state)
        self._show_gauges(view)
        self.query_one(ReadingLine).show_reading(read_run(view), self.glyphs)
        self.query_one(JournalPanel).show_state(state)
        self.show_readout(status_line(view, self.glyphs, is_in_process=self.tuner.environment.is_in_process))
        self._stand_changed(view)
        if view.is_caught_up and self._greeted != view.run_id:
            self._greeted = view.run_id
            self._greet(view)
        if view.is_lost and self._told_dead != view.run_id:
            self._told_dead = view.run_id
            self._tell_death(view)

    def _stand_changed(self, view: RunView) -> None:
        """Rail and keys follow how the run stands, which seldom changes."""
        stand = view.run_id, view.is_alive, view.is_caught_up, view.state.paused, view.state.finished, view.state.failed
        if stand != self._stand:
            self._stand = stand
            self.key_labels["train.pause"] = "go on" if view.state.paused else "pause"
            self.tuner.marks_changed()
            self.refresh_bindings()

    def _greet(self, view: RunView) -> None:
        """Say once how long a living run was alone."""
        since = view.attachment.alone_since
        if view.is_alive and since is not None and view.attachment.attached_at - since > ALONE_SECONDS:
            self.notify(attached_words(view), timeout=4, markup=False)

    def _show_gauges(self, view: RunView) -> None:
        speed = view.state.plan.speed if view.state.plan else None
        gauges = Gauges(
            state=view.state,
            gpu=self._machine.gpu,
            process_bytes=self._machine.process_bytes,
            planned_speed=speed.tokens_per_second if speed else None,
        )
        gpus = self.tuner.bench.desk.hardware.gpus if self.tuner.has_bench else ()
        title = gpus[0].name.removeprefix("NVIDIA ") if gpus else "Machine"
        self.query_one(GaugePanel).show_gauges(gauges, title)

    def _tell_death(self, view: RunView) -> None:
        from tui_tuner.screens.dialogs.problem import ProblemDialog

        how = view.exit.text if view.exit else "its process is gone"
        title, words = f"{title_of(view)} died at step {view.state.step:,}", resume_words(view.state)
        problem = ProblemDialog(title, how, words, "\n".join(view.log_tail), again="resume")
        self.app.push_screen(problem, lambda is_wanted: self.action_resume() if is_wanted else None)

    @work(thread=True, exclusive=True, group="machine", exit_on_error=False)
    def _read_machine(self) -> None:
        view = self.view
        process = 0
        if view is not None and view.is_alive:
            process = self.tuner.run_desk.process_id
        self.post_message(
            MachineRead(self.tuner.environment.read_meters(), process_memory(process) if process else None)
        )

    @on(MachineRead)
    def machine_read(self, message: MachineRead) -> None:
        self._machine = message
        if self.view is not None and self.view.is_alive:
            self._show_gauges(self.view)

    # Asking.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        view = self.view if self.is_mounted else None
        if action in ("pause", "wish", "stop", "rate"):
            return True if view is not None and view.is_alive else None
        if action == "answers":
            return True if self.has_class("-short") and view is not None else None
        if action in ("detach", "zoom"):
            return True if view is not None else None
        if action == "resume":
            can = view is not None and not view.is_alive and view.is_caught_up and not self._is_complete(view)
            return True if can else None
        return True

    @staticmethod
    def _is_complete(view: RunView) -> bool:
        finished = view.state.finished
        return finished is not None and finished.outcome == "completed"

    def _ask(self, wish: Callable[[RunControls], None], words: str) -> None:
        run = self.tuner.run_desk.run
        if run is None:
            return
        try:
            wish(run.controls)
        except TunerError as error:
            self.tuner.tell(error)
            return
        self.notify(words, timeout=3, markup=False)

    def action_wish(self, name: str, words: str) -> None:
        self._ask(lambda controls: getattr(controls, name)(), words)

    def action_pause(self) -> None:
        is_paused = self.view is not None and self.view.state.paused
        if is_paused:
            self._ask(lambda controls: controls.resume(), "going on")
        else:
            self._ask(lambda controls: controls.pause(), "pausing after this step; its memory stays held")

    def action_rate(self, factor: float) -> None:
        self._rate = min(MAX_RATE, max(MIN_RATE, self._rate * factor))
        rate = self._rate
        self._ask(lambda controls: controls.set_learning_rate(rate), f"learning rate x {rate:g} of the schedule")

    @work(exclusive=True, group="dialog")
    async def action_stop(self) -> None:
        from tui_tuner.screens.dialogs.confirm import Choose

        keep, save, abort = "Keep training", "Stop and save", "Abort"
        text = (
            "Stop and save ends after this step, with checkpoint, adapter and proof; it can be resumed.\n"
            "Abort ends at once: what came after the last checkpoint is lost."
        )
        answer = await self.app.push_screen_wait(Choose("Stop the run?", text, (keep, save, abort)))
        if answer == save:
            self._ask(lambda controls: controls.stop(), "stopping after this step, and saving")
        elif answer == abort:
            self._ask(lambda controls: controls.abort(), "aborting")

    def action_answers(self) -> None:
        """On a low terminal there is room for the journal or for the answers."""
        self.toggle_class("-answers")

    def action_detach(self) -> None:
        """Let go of the run: it goes on, and the list of runs has it."""
        view = self.view
        if view is not None and view.is_alive and self.tuner.environment.is_in_process:
            self.notify("This run lives in this window; it goes on while the app is open.", markup=False)
        else:
            self.tuner.run_desk.let_go()
        self.tuner.go_to("runs")

    def action_resume(self) -> None:
        folder, run = self.tuner.run_desk.folder, self.tuner.run_desk.run
        if folder is not None and run is not None:
            self.tuner.resume_run(Path(folder) / run.run_id)

    def action_zoom(self) -> None:
        if self.focused is not None:
            panel = next((one for one in self.focused.ancestors_with_self if one.has_class("panel")), None)
            if isinstance(panel, Widget):
                self.maximize(panel) if self.maximized is None else self.minimize()

    def action_unzoom(self) -> None:
        self.minimize()

    def _current_glyphs(self) -> Glyphs:
        return self.tuner.glyphs
