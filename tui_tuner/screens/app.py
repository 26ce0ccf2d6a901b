"""The app: its stations, its keys, the draft and the run that it watches. No screen's own logic is here."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import App
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen

from tui_tuner.errors import TunerError
from tui_tuner.screens.draft import Draft, DraftHistory
from tui_tuner.screens.draft_file import DRAFT_NAME, load_draft, save_draft
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.facts_desk import FactsDesk
from tui_tuner.screens.glyphs import GLYPH_SETS, Glyphs
from tui_tuner.screens.marks import station_marks
from tui_tuner.screens.opening import open_station
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import STATIONS, Marks, StationName
from tui_tuner.screens.themes import DEFAULT_THEME, OWN_THEMES, default_variables


class FactsArrived(Message):
    """The desk knows more than before."""


class TunerApp(App[None], inherit_bindings=False):
    """Everything that outlives a station: draft, outlook, the run that is watched, settings."""

    TITLE = "tuner"
    CSS_PATH = "tuner.tcss"
    ENABLE_COMMAND_PALETTE = True
    COMMAND_PALETTE_BINDING = "ctrl+p"
    HORIZONTAL_BREAKPOINTS: ClassVar[list[tuple[int, str]] | None] = [(0, "-narrow"), (100, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar[list[tuple[int, str]] | None] = [(0, "-short"), (32, "-tall")]
    DEFAULT_MODE = "runs"
    MODES = {entry.name: partial(open_station, entry.name) for entry in STATIONS}  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(entry.key, f"app.go_to('{entry.name}')", entry.title, show=False, id=f"go.{entry.name}")
            for entry in STATIONS
        ),
        Binding("question_mark,f1", "app.help", "Help", id="help"),
        Binding("ctrl+p", "app.command_palette", "Commands", show=False, id="palette"),
        Binding("u", "app.undo", "Undo", show=False, id="undo"),
        Binding("U", "app.redo", "Redo", show=False, id="redo"),
        Binding("q", "app.quit", "Leave", show=False, id="leave"),
        Binding("ctrl+c", "app.quit", "Leave", show=False, priority=True, id="leave-now"),
        Binding("tab", "app.focus_next", "Next panel", show=False, id="focus.next"),
        Binding("shift+tab", "app.focus_previous", "Previous panel", show=False, id="focus.previous"),
    ]

    def __init__(self, environment: Environment) -> None:
        super().__init__()
        self.environment = environment
        self.glyphs: Glyphs = GLYPH_SETS["braille"]
        self.history = DraftHistory(Draft())
        self.marks: Marks = {}
        self._desk: FactsDesk | None = None
        self._outlook: Outlook | None = None

    def on_mount(self) -> None:
        for theme in OWN_THEMES:
            self.register_theme(theme)
        self.theme = DEFAULT_THEME
        self._restore_draft()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        generated = self.current_theme.to_color_system().generate()
        return default_variables(generated)

    # The draft and what follows from it.

    @property
    def desk(self) -> FactsDesk:
        if self._desk is None:
            self._desk = FactsDesk(self.environment, self._facts_arrived)
        return self._desk

    @property
    def draft(self) -> Draft:
        return self.history.present

    @property
    def outlook(self) -> Outlook:
        """What follows from the draft, as far as it is known now."""
        if self._outlook is None:
            facts, is_reading_model, is_reading_data = self.desk.facts(self.draft)
            ahead = look_ahead(self.draft, facts)
            self._outlook = replace(ahead, is_reading_model=is_reading_model, is_reading_data=is_reading_data)
        return self._outlook

    def set_value(self, value: object, *path: str | int) -> None:
        """Change one field of the draft; every screen learns of it, and it is kept on disk."""
        self.change_draft(self.draft.with_value(value, *path), path)

    def change_draft(self, draft: Draft, path: tuple[str | int, ...] = ()) -> None:
        self.history.change(draft, path, self.environment.clock())
        self._draft_changed()

    def action_undo(self) -> None:
        if self.history.undo():
            self._draft_changed()

    def action_redo(self) -> None:
        if self.history.redo():
            self._draft_changed()

    def _facts_arrived(self) -> None:
        """Called from a thread of the desk."""
        self.post_message(FactsArrived())

    def on_facts_arrived(self) -> None:
        self._outlook_changed()

    def _draft_changed(self) -> None:
        self._outlook_changed()
        try:
            save_draft(self.draft, self.environment.state_folder / DRAFT_NAME)
        except TunerError as error:
            self.tell(error)

    def _outlook_changed(self) -> None:
        self._outlook = None
        self.marks = station_marks(self.outlook)
        if isinstance(self.screen, Station):
            self.screen.show_marks(self.marks)
            self.screen.outlook_changed()

    def _restore_draft(self) -> None:
        path = self.environment.state_folder / DRAFT_NAME
        if not path.exists():
            return
        try:
            self.history = DraftHistory(load_draft(path))
        except TunerError as error:
            self.tell(error)

    # Going about.

    def go_to(self, station: StationName) -> None:
        if self.current_mode != station:
            self.switch_mode(station)

    def action_go_to(self, station: StationName) -> None:
        self.go_to(station)

    def action_help(self) -> None:
        from tui_tuner.screens.dialogs.help import HelpDialog

        if not isinstance(self.screen, ModalScreen):
            self.push_screen(HelpDialog(self.screen, self.focused))

    def tell(self, error: TunerError) -> None:
        """Say what went wrong in a line that passes; nothing of it is taken as markup."""
        from tui_tuner.safe_text import visible

        self.notify(visible(f"{error.message} {error.hint}".strip()), severity="error", markup=False)


def open_app(environment: Environment) -> int:
    """Run the app in this terminal until it is left; returns the exit code."""
    app = TunerApp(environment)
    app.run()
    return app.return_code or 0


def default_runs_folder() -> Path:
    """The same as `tuner train` uses."""
    return Path("runs")
