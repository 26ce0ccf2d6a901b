"""The app: its stations, its keys, the draft and the run that it watches. No screen's own logic is here."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import work
from textual._compositor import ChopsUpdate
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.filter import LineFilter
from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

from tui_tuner.errors import TunerError
from tui_tuner.safe_text import visible
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.look.glyphs import GLYPH_SETS, Glyphs, GlyphSet
from tui_tuner.screens.look.plain_signs import PlainSigns
from tui_tuner.screens.look.themes import DEFAULT_THEME, OWN_THEMES, default_variables
from tui_tuner.screens.opening import open_station
from tui_tuner.screens.settings import SETTINGS_NAME, Settings, load_settings, save_settings
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import STATIONS, Marks, StationName
from tui_tuner.screens.terminal.lean_output import SentCells
from tui_tuner.screens.terminal.lifeline import keep_prints_off_the_screen, leave_on_hang_up
from tui_tuner.screens.terminal.typed_ahead import TypedAhead

if TYPE_CHECKING:
    from rich.console import RenderableType
    from textual.command import Provider

    from tui_tuner.screens.draft import Draft
    from tui_tuner.screens.outlook import Outlook
    from tui_tuner.screens.run_desk import RunDesk
    from tui_tuner.screens.workbench import Workbench

LOG_NAME = "in_process.log"
"""What libraries print while a run lives in the app's process."""


def _commands() -> type["Provider"]:
    from tui_tuner.screens.commands import Commands

    return Commands


class FactsArrived(Message):
    """The desk knows more than before."""


class TunerApp(App[None], inherit_bindings=False):
    """Everything that outlives a station: draft, outlook, the run that is watched, settings."""

    TITLE = "tuner"
    CSS_PATH = "tuner.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    COMMANDS = {_commands}  # noqa: RUF012 - textual declares it so
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - textual declares it so
    VERTICAL_BREAKPOINTS = [(0, "-short"), (32, "-tall")]  # noqa: RUF012
    DEFAULT_MODE = "runs"
    MODES = {entry.name: partial(open_station, entry.name) for entry in STATIONS}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(entry.key, f"app.go_to('{entry.name}')", entry.title, show=False, id=f"go.{entry.name}")
            for entry in STATIONS
        ),
        Binding("question_mark,f1", "app.help", "help", id="help"),
        Binding("ctrl+p", "app.command_palette", "commands", show=False, id="palette"),
        Binding("f9", "app.doctor", "doctor", show=False, id="doctor"),
        Binding("u", "app.undo", "undo", show=False, id="undo"),
        Binding("U", "app.redo", "redo", show=False, id="redo"),
        Binding("q", "app.leave", "leave", show=False, id="leave"),
        Binding("ctrl+c", "app.leave", "leave", show=False, priority=True, id="leave-now"),
        Binding("ctrl+o", "app.jump", "jump to a panel", show=False, id="jump"),
        Binding("tab", "app.focus_next", "next panel", show=False, id="focus.next"),
        Binding("shift+tab", "app.focus_previous", "previous panel", show=False, id="focus.previous"),
    ]

    def __init__(self, environment: Environment, attach_to: tuple[Path, str] | None = None) -> None:
        """`attach_to`: the runs folder and the id of a run that is shown at once."""
        super().__init__()
        self._attach_to = attach_to
        self._sent = SentCells()
        self._typed = TypedAhead(self, self._deliver)
        self.before_run: list[Callable[[], None]] = []
        """Called before a run begins, by whoever holds memory that it may want."""
        self.environment = environment
        self.marks: Marks = {}
        self._bench: Workbench | None = None
        self._run_desk: RunDesk | None = None
        for theme in OWN_THEMES:
            self.register_theme(theme)
        self._settings, self._settings_problem = load_settings(self._settings_path)
        self.glyphs: Glyphs = GLYPH_SETS[self._fitting_glyphs(self._settings.glyphs)]
        is_known = self._settings.theme in self.available_themes
        self.theme = self._settings.theme if is_known else DEFAULT_THEME

    def on_mount(self) -> None:
        # What the draft needs takes longer to import than the first frame takes to draw.
        self.call_after_refresh(self._outlook_changed)
        if not self.is_headless:
            leave_on_hang_up(asyncio.get_running_loop(), self.exit)
        if self._attach_to is not None:
            self.call_after_refresh(self.attach, *self._attach_to)
        if self._settings_problem is not None:
            self.tell(self._settings_problem)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return default_variables(self.current_theme.to_color_system().generate())

    def get_css_variables(self) -> dict[str, str]:
        """Those of the theme; a theme that is not our own is made readable first."""
        variables = super().get_css_variables()
        if self.current_theme not in OWN_THEMES:
            from tui_tuner.screens.look.contrast import readable

            variables.update(readable(variables))
        return variables

    # The draft and what follows from it.

    @property
    def bench(self) -> "Workbench":
        if self._bench is None:
            from tui_tuner.screens.workbench import Workbench

            self._bench = Workbench(self.environment, self._facts_arrived, self.tell)
        return self._bench

    @property
    def has_bench(self) -> bool:
        """Whether the draft was read: false only while the very first frame is drawn."""
        return self._bench is not None

    @property
    def draft(self) -> "Draft":
        return self.bench.draft

    @property
    def outlook(self) -> "Outlook":
        """What follows from the draft, as far as it is known now."""
        return self.bench.outlook

    def set_value(self, value: object, *path: str | int) -> None:
        """Change one field of the draft; every screen learns of it, and it is kept on disk."""
        self.change_draft(self.draft.with_value(value, *path), path)

    def change_draft(self, draft: "Draft", path: tuple[str | int, ...] = ()) -> None:
        self.bench.change(draft, path)
        self._outlook_changed()

    def action_undo(self) -> None:
        if self.bench.undo():
            self._outlook_changed()

    def action_redo(self) -> None:
        if self.bench.redo():
            self._outlook_changed()

    def _facts_arrived(self) -> None:
        """Called from a thread of the desk."""
        self.post_message(FactsArrived())

    def on_facts_arrived(self) -> None:
        self.bench.forget_outlook()
        self._outlook_changed()

    def _outlook_changed(self) -> None:
        self.marks_changed()
        if isinstance(self.screen, Station) and self.screen.has_body:
            self.screen.outlook_changed()

    def marks_changed(self) -> None:
        """The outlook or the run is another: the rail shows it."""
        from tui_tuner.screens.marks import station_marks

        self.marks = station_marks(
            self.outlook, self._run_desk.view if self._run_desk else None, self.bench.label_state
        )
        if isinstance(self.screen, Station) and self.screen.has_body:
            self.screen.show_marks(self.marks)

    # The run that is looked at.

    @property
    def run_desk(self) -> "RunDesk":
        if self._run_desk is None:
            from tui_tuner.screens.run_desk import RunDesk

            self._run_desk = RunDesk(self.environment)
            self.set_interval(1.0, self._look_at_run)
        return self._run_desk

    def start_run(self) -> None:
        """Begin training what the draft asks for, and show it; or say what is missing, and go there."""
        from tui_tuner.screens.marks import start_obstacle

        missing = start_obstacle(self.outlook, self.bench.label_state)
        recipe = self.draft.recipe
        if missing is not None or recipe is None:
            station, words = missing or ("recipe", "The recipe has problems.")
            self.notify(visible(words), severity="warning", markup=False)
            self.go_to(station)
            return
        self._begin(lambda: self.run_desk.start(recipe), "The run could not be started")

    def start_demo(self) -> None:
        """Tune the built-in starter model, and show it."""
        from tui_tuner.starter import starter_recipe

        self._begin(lambda: self.run_desk.start(starter_recipe()), "The demo could not be started")

    def attach(self, runs_folder: Path, run_id: str) -> None:
        """Show a run, living or over, on the Train station."""
        self.run_desk.attach(runs_folder, run_id)
        self.go_to("train")

    def resume_run(self, run_folder: Path) -> None:
        self._begin(lambda: self.run_desk.resume(run_folder), "The run could not be resumed")

    def _begin(self, begin: Callable[[], None], trouble: str) -> None:
        for make_room in self.before_run:
            make_room()
        try:
            begin()
        except TunerError as error:
            self.show_problem(trouble, error)
            return
        self.go_to("train")

    def finish_run(self) -> int:
        """After the screen is gone: wait for a run that lives in this process; returns its exit code."""
        return self._run_desk.stay_until_it_ends() if self._run_desk else 0

    def _look_at_run(self) -> None:
        """Once a second wherever the person is; the Train station looks more often."""
        if self.run_desk.poll():
            self.marks_changed()

    # What is typed, and what the terminal is sent.

    async def on_event(self, event: Event) -> None:
        """Keys and pasted text go one by one, in turn; to leave is always possible."""
        is_typed = isinstance(event, Key) and event.key != "ctrl+c"
        if (is_typed or isinstance(event, Paste)) and not event.is_forwarded:
            await self._typed.take(event)
        else:
            await self._deliver(event)

    async def _deliver(self, event: Event) -> None:
        await super().on_event(event)

    def _display(self, screen: Screen[object], renderable: "RenderableType | None") -> None:
        """Textual's own way to the terminal, with what the terminal shows already left out."""
        if type(renderable) is ChopsUpdate and not self.is_headless and not self._batch_count:
            renderable = self._sent.lean(renderable)
        elif renderable is not None:
            self._sent.forget()
        super()._display(screen, renderable)

    def on_resize(self) -> None:
        self._sent.forget()

    # Settings.

    @property
    def _settings_path(self) -> Path:
        return self.environment.config_folder / SETTINGS_NAME

    def use_theme(self, name: str) -> None:
        self.theme = name
        self._keep(replace(self._settings, theme=name))

    def use_glyphs(self, name: GlyphSet | Literal["auto"]) -> None:
        self.glyphs = GLYPH_SETS[self._fitting_glyphs(name)]
        self._keep(replace(self._settings, glyphs=name))
        self.refresh_css(animate=False)  # drops what was drawn with the signs before
        self.screen.refresh(layout=True)
        self._outlook_changed()

    def _fitting_glyphs(self, setting: GlyphSet | Literal["auto"]) -> GlyphSet:
        return self.environment.glyphs if setting == "auto" else setting

    def get_line_filters(self) -> Sequence[LineFilter]:
        """In ASCII the frames that Textual draws are plain too."""
        filters = super().get_line_filters()
        if self.glyphs.name != "ascii":
            return filters
        return [*filters, PlainSigns(is_strict=not self.environment.knows_utf8)]

    def _keep(self, settings: Settings) -> None:
        self._settings = settings
        try:
            save_settings(settings, self._settings_path)
        except TunerError as error:
            self.tell(error)

    # Going about.

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from tui_tuner.screens.commands import palette_commands

        return palette_commands(self, screen)

    def action_doctor(self) -> None:
        from tui_tuner.screens.doctor.screen import DoctorScreen

        if not isinstance(self.screen, DoctorScreen):
            self.push_screen(DoctorScreen())

    @work(exclusive=True, group="dialog.leave")
    async def action_leave(self) -> None:
        """Leave the app. A run in its own session goes on; one in this process is asked about first."""
        if self._run_desk is None or not self._run_desk.is_running_here or self._run_desk.run is None:
            self.exit()
            return
        from tui_tuner.screens.dialogs.confirm import Choose

        stay, finish, stop = "Stay", "Leave, let it finish", "Stop and save"
        text = "This run lives in this process. Without the screen it goes on until its end; Ctrl-C then stops it."
        answer = await self.push_screen_wait(Choose("Leave while it trains?", text, (stay, finish, stop)))
        if answer == stop:
            self._run_desk.run.controls.stop()
        if answer != stay:
            self.exit()

    def go_to(self, station: StationName) -> None:
        if isinstance(self.screen, Station) and self.screen.STATION is None:
            self.pop_screen()  # Doctor lies over a station, and is no place to come back to
        if self.current_mode != station:
            self.switch_mode(station)

    def action_go_to(self, station: StationName) -> None:
        self.go_to(station)

    def action_help(self) -> None:
        from tui_tuner.screens.dialogs.help import HelpDialog

        if not isinstance(self.screen, ModalScreen):
            self.push_screen(HelpDialog(self.screen, self.focused))

    @work(exclusive=True, group="dialog.jump")
    async def action_jump(self) -> None:
        """Letters on the panels, and where the one that is pressed leads."""
        from tui_tuner.screens.dialogs.jump import Jump

        if isinstance(self.screen, ModalScreen):
            return
        target = await self.push_screen_wait(Jump(self.screen))
        if isinstance(target, Widget):
            target.focus()
        elif target is not None:
            self.go_to(target)

    def show_problem(self, title: str, error: TunerError) -> None:
        """Say what went wrong in a dialog: what, why, what to do."""
        from tui_tuner.screens.dialogs.problem import ProblemDialog

        self.push_screen(ProblemDialog.of(title, error))

    def tell(self, error: TunerError) -> None:
        """Say what went wrong in a line that passes; nothing of it is taken as markup."""
        self.notify(visible(f"{error.message} {error.hint}".strip()), severity="error", markup=False)


def open_app(environment: Environment, attach_to: tuple[Path, str] | None = None) -> int:
    """Run the app in this terminal until it is left; returns the exit code. A run in this process may outlive it."""
    if environment.is_in_process:
        keep_prints_off_the_screen(environment.state_folder / LOG_NAME)
    app = TunerApp(environment, attach_to)
    app.run()
    return app.return_code or app.finish_run()
