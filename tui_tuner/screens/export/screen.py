"""The Export station: what a run left becomes files that others can load, proved, with the commands that use them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.errors import TunerError
from tui_tuner.exports import EXPORT_FORMS, ExportKind, ExportProgress, ExportStage, ExportState, ServeCommand
from tui_tuner.hosting.export_job import ExportJob
from tui_tuner.places import path_of
from tui_tuner.screens.export import menus
from tui_tuner.screens.export.choices import Choices
from tui_tuner.screens.export.commands import use_commands
from tui_tuner.screens.export.kind_lines import detail, kind_line
from tui_tuner.screens.export.panels import about, kind_help, readout, settings_lines
from tui_tuner.screens.export.planner import ExportPlanner
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.sources.desk import ResultDesk
from tui_tuner.screens.sources.results import Result
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.widgets.line_list import LineList

JOB_FOLDER, PLAN_FOLDER = "export", "export-plan"


class ResultsRead(Message):
    """The results on this machine were listed."""

    def __init__(self, results: tuple[Result, ...]) -> None:
        self.results = results
        super().__init__()


class ExportScreen(Station):
    """Kinds and settings; beside or below, the kind under the cursor in full."""

    STATION: ClassVar[StationName | None] = "export"
    CSS_PATH = "export.tcss"
    HELP = """\
What you take away. Everything is listed with its size before it is written, appears only when it is whole, and is then
read back and compared with the live adapter: no tick without that.

**Merged into**: 16-bit is the base as it was published; dequantised is the 4-bit base that the adapter was trained on,
written out. `auto` measures the held-out loss of both and takes the lower.

An export goes on when you leave the station, or `tuner`; `x` cancels it, and then nothing half-written is left."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose_kind", "choose", id="export.toggle"),
        Binding("enter,e", "export", "export", id="export.start"),
        Binding("x", "cancel", "cancel", id="export.cancel"),
        Binding("y", "copy", "copy command", id="export.copy"),
        Binding("f4", "choose", "source", id="export.source"),
        Binding("o", "folder", "folder", id="export.folder"),
        Binding("t", "gguf_type", "GGUF type", id="export.type"),
        Binding("b", "base", "merge base", id="export.base"),
        Binding("h", "repository", "hub", id="export.hub"),
        Binding("p", "visibility", "private/public", show=False, id="export.visibility"),
        Binding("r", "plan_again", "plan again", show=False, id="export.again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._choices = Choices()
        self._results: tuple[Result, ...] = ()
        self._desk: ResultDesk | None = None
        self._planner: ExportPlanner | None = None
        self._job: ExportJob | None = None
        self._states: dict[ExportKind, ExportState] = {}
        """Of the job."""
        self._timer: Timer | None = None
        self._inks: Inks | None = None
        self._login = ""

    def help_text(self) -> str:
        """About the kind under the cursor."""
        form = EXPORT_FORMS[self.query_one(LineList).cursor if self.has_body else 0]
        state = self._current_states().get(form.kind, ExportState())
        return f"{kind_help(form, state, self._choices)}\n\n---\n\n{self.HELP}"

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="export-column"):
            with Vertical(classes="panel export-list"):
                yield LineList(self._line, len(EXPORT_FORMS), name="kinds", classes="-picker export-kinds")
                yield Static(classes="export-settings")
                yield Static(classes="export-about wide-only")
            with VerticalScroll(classes="panel export-detail"):
                yield Static(classes="export-text")

    def on_mount(self) -> None:
        environment = self.tuner.environment
        self._planner = ExportPlanner(environment.state_folder / PLAN_FOLDER, environment.runs_folder)
        self._login = environment.read_login()
        self._job = ExportJob.found(environment.state_folder / JOB_FOLDER)
        self.query_one(LineList).focus()

    def wake(self) -> None:
        self._inks = inks_of(self.app.theme_variables)
        self._timer = self._timer or self.set_interval(self.tuner.environment.frame_seconds, self._look)
        self._timer.resume()
        self._list()
        self._look()
        self._show()

    def rest(self) -> None:
        if self._timer is not None:
            self._timer.pause()

    def on_unmount(self) -> None:
        if self._planner is not None:
            self._planner.close()

    # What is known.

    @work(thread=True, exclusive=True, group="results", exit_on_error=False)
    def _list(self) -> None:
        self._desk = self._desk or ResultDesk(self.tuner.environment)
        self.post_message(ResultsRead(self._desk.results()))

    @on(ResultsRead)
    def results_read(self, message: ResultsRead) -> None:
        self._results = message.results
        if self._choices.result is None and self._results:
            open_run = self.tuner.run_desk.run
            named = [one for one in self._results if open_run is not None and one.title == open_run.run_id]
            self._set(replace(self._choices, result=next(iter((*named, *self._results)))))
        self._show()

    def _look(self) -> None:
        """Take what the job and the planner have to say."""
        is_new = False
        if self._job is not None and not self._job.is_over:
            for event in self._job.poll():
                self._states[event.export] = self._states.get(event.export, ExportState()).after(event)
                is_new = True
            is_new = is_new or self._job.is_over
        try:
            is_new = (self._planner is not None and self._planner.poll()) or is_new
        except TunerError as error:
            self.tuner.tell(error)
        if is_new:
            self._show()

    @property
    def _is_running(self) -> bool:
        return self._job is not None and not self._job.is_over

    def _current_states(self) -> Mapping[ExportKind, ExportState]:
        """The job's word where it was asked for the same, and the plan where the job has none."""
        planned = dict(self._planner.states()) if self._planner is not None else {}
        is_same = self._job is not None and self._choices.agrees_with(self._job.request)
        return {**planned, **self._begun(planned), **self._states} if is_same else planned

    def _begun(self, planned: Mapping[ExportKind, ExportState]) -> Mapping[ExportKind, ExportState]:
        """What the job was asked for and has said nothing of yet: its process starts, which takes seconds."""
        if self._job is None or self._job.is_over:
            return {}
        starts = {kind: ExportProgress(export=kind, stage=ExportStage.CHECKING) for kind in self._job.request.kinds}
        return {kind: replace(planned.get(kind, ExportState()), progress=start) for kind, start in starts.items()}

    def _set(self, choices: Choices) -> None:
        self._choices = choices
        if self._planner is not None:
            self._planner.wanted(choices)
        self._show()

    # Drawing.

    def _show(self) -> None:
        if not self.has_body:
            return
        result = self._choices.result
        panel = self.query_one(".export-list")
        panel.border_title = shown_line(f"Export {result.title}" if result else "Export", limit=60)
        panel.border_subtitle = shown_line(f"on {result.base_name}" if result and result.base_name else "", limit=50)
        self.query_one(LineList).redraw(len(EXPORT_FORMS))
        self.query_one(".export-settings", Static).update(settings_lines(self._choices))
        is_planning = self._planner is not None and self._planner.is_busy
        states = self._current_states()
        self.show_readout(
            readout(self._choices, states, self.glyphs, is_planning=is_planning, is_running=self._is_running)
        )
        self._show_detail()
        self.refresh_bindings()

    @on(LineList.Moved)
    def _show_detail(self) -> None:
        form = EXPORT_FORMS[self.query_one(LineList).cursor]
        panel = self.query_one(".export-detail")
        panel.border_title = Content(form.title)
        self.query_one(".export-about", Static).update(about(form, self._choices, self._current_states(), self.glyphs))
        text = self.query_one(".export-text", Static)
        if self._choices.result is None and not self._results:
            text.update(Content("No run has an adapter yet. F4 takes the path of one; the Runs station has a demo."))
            return
        state = self._current_states().get(form.kind, ExportState())
        width = max(20, panel.scrollable_content_region.width - 1)
        text.update(detail(form, state, self._commands(state), width, self.glyphs, self._current_inks()))

    def _commands(self, state: ExportState) -> tuple[ServeCommand, ...]:
        if state.finished is None:
            return ()
        base = state.planned.base_model if state.planned is not None else ""
        return use_commands(state.finished, base, self._login)

    def _line(self, index: int, width: int) -> Text:
        form = EXPORT_FORMS[index]
        state = self._current_states().get(form.kind, ExportState())
        is_chosen = form.kind in self._choices.kinds
        return kind_line(form, state, width, self.glyphs, self._current_inks(), is_chosen=is_chosen)

    def _current_inks(self) -> Inks:
        return self._inks or inks_of(self.app.theme_variables)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action == "cancel":
            return self._is_running
        if action == "export":
            return True if not self._is_running and not self._choices.obstacle else None
        if action == "copy":
            return True if self.is_mounted and self.has_body and self._commands(self._current_state()) else None
        return True

    def _current_state(self) -> ExportState:
        kind = EXPORT_FORMS[self.query_one(LineList).cursor].kind
        return self._current_states().get(kind, ExportState())

    def action_choose_kind(self) -> None:
        self._set(self._choices.toggled(EXPORT_FORMS[self.query_one(LineList).cursor].kind))

    @on(LineList.Chosen)
    @work(exclusive=True, group="dialog")
    async def action_export(self) -> None:
        """Ask where something is replaced or published; then begin."""
        if self._is_running or self._choices.obstacle:
            self.notify(self._choices.obstacle or "An export goes on; x cancels it.", markup=False)
            return
        states = self._current_states()
        plans = [plan for kind in self._choices.kinds if kind in states and (plan := states[kind].planned) is not None]
        in_the_way = menus.folders_in_the_way(plans)
        if await menus.ask_leave(self.tuner, self._choices, in_the_way):
            self._start(replaces=bool(in_the_way))

    def _start(self, *, replaces: bool) -> None:
        environment = self.tuner.environment
        request = self._choices.request(environment.runs_folder, self._choices.kinds, replaces=replaces)
        self._states = {}
        try:
            self._job = ExportJob.start(request, environment.state_folder / JOB_FOLDER)
        except TunerError as error:
            self.tuner.show_problem("The export could not be started", error)
        self._show()

    @work(exclusive=True, group="dialog")
    async def action_cancel(self) -> None:
        if self._job is not None and await menus.ask_cancel(self.tuner):
            self._job.cancel()
            self._look()

    @work(exclusive=True, group="dialog")
    async def action_copy(self) -> None:
        from tui_tuner.screens.terminal.clipboard import copy_text

        chosen = await menus.ask_command(self.tuner, self._commands(self._current_state()))
        if chosen is not None:
            copy_text(self.app, chosen.command)

    @work(exclusive=True, group="dialog")
    async def action_choose(self) -> None:
        from tui_tuner.screens.sources.picker import ResultPicker

        picker = ResultPicker("Export", self._results, self.tuner.environment.clock())
        result = await self.app.push_screen_wait(picker)
        if result is not None:
            self._set(replace(self._choices, result=result, out=None))

    @work(exclusive=True, group="dialog")
    async def action_folder(self) -> None:
        out = await menus.ask_folder(self.tuner, self._choices)
        if out is not None:
            self._set(replace(self._choices, out=str(path_of(out).absolute()) if out.strip() else None))

    @work(exclusive=True, group="dialog")
    async def action_gguf_type(self) -> None:
        chosen = await menus.ask_gguf_type(self.tuner, self._choices)
        if chosen is not None:
            self._set(replace(self._choices, quantization=chosen))

    def action_base(self) -> None:
        self._set(self._choices.with_next_base())

    @work(exclusive=True, group="dialog")
    async def action_repository(self) -> None:
        name = await menus.ask_repository(self.tuner, self._choices)
        if name is not None:
            self._set(replace(self._choices, repository=name.strip() or None))

    def action_visibility(self) -> None:
        self._set(replace(self._choices, is_private=not self._choices.is_private))

    def action_plan_again(self) -> None:
        if self._planner is not None:
            self._planner.forget_failures()
        self._show()
