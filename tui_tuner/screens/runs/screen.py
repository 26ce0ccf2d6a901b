"""The Runs station: every run with how it stands, and all that can be done with one."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.errors import MachineError, TunerError
from tui_tuner.hosting.known_folders import known_folders
from tui_tuner.screens.empty_words import empty_words
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.runs.catalogue import RunCatalogue, RunEntry
from tui_tuner.screens.runs.comparison import ComparedRun, ComparisonDialog
from tui_tuner.screens.runs.differences import recipe_differences
from tui_tuner.screens.runs.help_words import help_words
from tui_tuner.screens.runs.index import INDEX_NAME
from tui_tuner.screens.runs.inspector import Inspection, Inspector
from tui_tuner.screens.runs.reading import inspect, recipe_of, state_of
from tui_tuner.screens.runs.rows import header_line, problem_line, run_line
from tui_tuner.screens.shown import short_path, shown_line
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.screens.widgets.list_header import ListHeader

LOOK_SECONDS = 1.0
EMPTY = (
    "No runs yet.\n\nt  tunes a small built-in model in under a minute: see everything work\n"
    "n  begins your own: choose a model, then data\no  opens a recipe file\n\n"
    "?  helps, wherever you are"
)


class RunsListed(Message):
    """The catalogue was read."""

    def __init__(self, entries: tuple[RunEntry, ...], *, is_whole: bool = True) -> None:
        self.entries = entries
        self.is_whole = is_whole
        super().__init__()


class RunInspected(Message):
    """The run under the cursor was read."""

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection
        super().__init__()


class RunsCompared(Message):
    """The marked runs were read."""

    def __init__(self, dialog: ComparisonDialog) -> None:
        self.dialog = dialog
        super().__init__()


class RunsScreen(Station):
    """List at the left; in a wide terminal the run under the cursor at the right."""

    STATION: ClassVar[StationName | None] = "runs"
    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,a", "open", "open", show=False, id="runs.open"),
        Binding("n", "new", "new", id="runs.new"),
        Binding("t", "demo", "demo", id="runs.demo"),
        Binding("o", "open_recipe", "open recipe", id="runs.recipe"),
        Binding("r", "resume", "resume", id="runs.resume"),
        Binding("space", "mark", "mark", id="runs.mark"),
        Binding("d", "compare", "compare", id="runs.compare"),
        Binding("slash", "filter", "filter", id="runs.filter"),
        Binding("c", "copy_recipe", "take recipe", id="runs.take"),
        Binding("x", "delete", "delete", id="runs.delete"),
        Binding("escape", "clear", "clear filter", show=False, id="runs.clear"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[RunEntry, ...] = ()
        self._seen: tuple[RunEntry, ...] = ()
        self._marked: frozenset[str] = frozenset()
        self._catalogue: RunCatalogue | None = None
        self._timer: Timer | None = None
        self._inks: Inks | None = None
        self._is_listed = False
        self._is_whole = True
        self._is_looking = False
        self._minute = 0

    def help_text(self) -> str:
        return help_words(self.current if self.has_body else None)

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="panel runs-list") as panel:
            panel.border_title = Content("Runs")
            runs = LineList(self._line, name="runs", classes="-picker", opens="open")
            yield ListHeader(lambda width: Content(header_line(width)), runs, classes="runs-header muted")
            yield runs
            yield Static(Content("reading…"), classes="runs-empty")
            yield Static(classes="runs-problem")
            yield Input(placeholder="part of a name or model", classes="runs-filter", compact=True)
        yield Inspector(self.tuner.glyphs)

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        self.query_one(".runs-filter").display = False

    def wake(self) -> None:
        self._inks = inks_of(self.app.theme_variables)
        self._list()
        if self._timer is None:
            self._timer = self.set_interval(LOOK_SECONDS, self._list)
        self._timer.resume()

    def rest(self) -> None:
        if self._timer is not None:
            self._timer.pause()

    # Reading, in threads.

    def _list(self) -> None:
        """Unless a look is still on its way: a first one over many runs takes seconds."""
        if not self._is_looking:
            self._is_looking = True
            self._read_list()

    @work(thread=True, group="list", exit_on_error=False)
    def _read_list(self) -> None:
        try:
            if self._catalogue is not None:
                self.post_message(RunsListed(self._catalogue.glance()))
                return
            environment = self.tuner.environment
            folders = (environment.runs_folder.expanduser().resolve(), *known_folders(environment.state_folder))
            catalogue = RunCatalogue(tuple(dict.fromkeys(folders)), environment.state_folder / INDEX_NAME)
            for entries in catalogue.growing():
                self.post_message(RunsListed(entries, is_whole=False))
            self._catalogue = catalogue
            self.post_message(RunsListed(entries))
        finally:
            self._is_looking = False

    @work(thread=True, exclusive=True, group="inspect", exit_on_error=False)
    def _inspect(self, entry: RunEntry, other: RunEntry | None) -> None:
        self.post_message(RunInspected(inspect(entry, other)))

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False)
    def _compare(self, entries: tuple[RunEntry, ...]) -> None:
        runs = [ComparedRun(name=one.summary.id, state=state_of(one)) for one in entries]
        recipes = tuple(recipe for one in entries if (recipe := recipe_of(one)) is not None)
        differences = recipe_differences(recipes) if len(recipes) == len(runs) else ()
        self.post_message(RunsCompared(ComparisonDialog(runs, differences, self.tuner.glyphs)))

    # What was read.

    @on(RunsListed)
    def show_list(self, message: RunsListed) -> None:
        if message.entries is self._entries and self._is_whole and message.is_whole and self._is_listed:
            self._grow_older()
            return
        current = self.current
        self._is_listed = message.is_whole or bool(message.entries)
        self._is_whole = message.is_whole
        self._entries = message.entries
        self._filter()
        if current is not None:
            folder = current.summary.folder
            place = next((place for place, one in enumerate(self._seen) if one.summary.folder == folder), None)
            if place is not None:
                self.query_one(LineList).cursor = place
        self._look_at_current()

    def _grow_older(self) -> None:
        """Nothing came, went or grew; only the ages are others."""
        minute = int(self.tuner.environment.clock() // 60)
        if minute != self._minute:
            self._minute = minute
            self.query_one(LineList).redraw()

    @on(RunInspected)
    def show_inspection(self, message: RunInspected) -> None:
        self.query_one(Inspector).inspection = message.inspection

    @on(RunsCompared)
    def show_comparison(self, message: RunsCompared) -> None:
        self.app.push_screen(message.dialog)

    @on(LineList.Moved)
    def moved(self) -> None:
        self._look_at_current()

    @property
    def current(self) -> RunEntry | None:
        cursor = self.query_one(LineList).cursor
        return self._seen[cursor] if cursor < len(self._seen) else None

    def _look_at_current(self) -> None:
        entry = self.current
        self.query_one(".runs-problem", Static).update(shown_line(problem_line(entry) if entry else ""))
        self.refresh_bindings()
        inspector = self.query_one(Inspector)
        if entry is None or not inspector.display or not self.size.width:
            inspector.inspection = None
            return
        shown = inspector.inspection
        if shown is None or shown.entry.summary != entry.summary:
            cursor = self.query_one(LineList).cursor
            self._inspect(entry, self._seen[cursor + 1] if cursor + 1 < len(self._seen) else None)

    def _filter(self) -> None:
        words = self.query_one(".runs-filter", Input).value.lower().split()
        self._seen = tuple(one for one in self._entries if all(word in one.searched for word in words))
        runs = self.query_one(LineList)
        runs.redraw(len(self._seen))
        runs.display = bool(self._seen)
        if runs.display and self.focused is None:
            runs.focus()  # it lost the focus while it was hidden
        self.set_class(self._is_listed and not self._entries, "-empty")
        empty = self.query_one(".runs-empty", Static)
        empty.display = not self._seen
        reason = "No run matches." if self._entries else EMPTY if self._is_listed else "reading…"
        empty.update(empty_words(reason))
        self.query_one(ListHeader).display = bool(self._seen)
        self._show_totals()

    def _show_totals(self) -> None:
        living = sum(one.is_living for one in self._entries)
        glyphs = self.tuner.glyphs
        parts = [f"{len(self._entries):,} runs"] if len(self._entries) != 1 else ["1 run"]
        if not self._is_whole:
            parts.append("reading…")
        if living:
            parts.insert(0, f"{glyphs.running} {living} training")
        if self._marked:
            parts.append(f"{len(self._marked)} marked")
        parts.append(short_path(self.tuner.environment.runs_folder.absolute(), self.tuner.environment.home))
        self.show_readout(shown_line("  ·  ".join(parts)))

    def _line(self, index: int, width: int) -> Text:
        entry = self._seen[index]
        inks = self._inks or inks_of(self.app.theme_variables)
        is_marked = entry.summary.folder in self._marked
        return run_line(entry, width, self.tuner.glyphs, inks, self.tuner.environment.clock(), is_marked=is_marked)

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        entry = self.current if self.is_mounted and self.has_body else None
        if action in ("open", "mark", "delete", "copy_recipe"):
            return True if entry else None
        if action == "resume":
            return True if entry and entry.has_folder and entry.summary.can_resume else None
        if action == "filter":
            return True if self._entries else None
        if action == "compare":
            return True if len(self._marked) >= 2 else None
        return True

    @on(LineList.Chosen)
    def action_open(self) -> None:
        entry = self.current
        if entry is not None:
            self.tuner.attach(entry.runs_folder, entry.summary.id)

    def action_new(self) -> None:
        self.tuner.go_to("model")

    def action_demo(self) -> None:
        self.tuner.start_demo()

    @work(exclusive=True, group="dialog", exit_on_error=False)
    async def action_open_recipe(self) -> None:
        from tui_tuner.screens.recipe.files import open_recipe

        if await open_recipe(self.tuner):
            self.tuner.go_to("recipe")

    def action_resume(self) -> None:
        entry = self.current
        if entry is not None:
            self.tuner.resume_run(Path(entry.summary.folder))

    def action_mark(self) -> None:
        entry = self.current
        if entry is not None:
            self._marked = self._marked ^ {entry.summary.folder}
            runs = self.query_one(LineList)
            runs.redraw()
            runs.cursor += 1
            self._show_totals()
            self.refresh_bindings()

    def action_compare(self) -> None:
        self._compare(tuple(one for one in self._entries if one.summary.folder in self._marked))

    def action_filter(self) -> None:
        field = self.query_one(".runs-filter", Input)
        field.display = True
        field.focus()

    def action_clear(self) -> None:
        field = self.query_one(".runs-filter", Input)
        field.value = ""
        field.display = False
        self.query_one(LineList).focus()

    @on(Input.Changed, ".runs-filter")
    def filter_changed(self) -> None:
        self._filter()
        self._look_at_current()

    @on(Input.Submitted, ".runs-filter")
    def filter_taken(self) -> None:
        self.query_one(LineList).focus()

    def action_copy_recipe(self) -> None:
        """The run's recipe becomes the draft; `u` brings the draft back."""
        entry = self.current
        if entry is None:
            return
        from tui_tuner.screens.draft_file import load_draft

        try:
            self.tuner.change_draft(load_draft(Path(entry.summary.folder) / "recipe.toml").without("output", "name"))
        except TunerError as error:
            self.tuner.tell(error)
            return
        self.notify(f"The draft is now the recipe of {entry.summary.id}; u brings yours back.", markup=False)

    @work(exclusive=True, group="dialog")
    async def action_delete(self) -> None:
        entry = self.current
        if entry is None:
            return
        if entry.is_living:
            self.notify("It is running. Open it (enter) and stop it first.", severity="warning", markup=False)
            return
        from tui_tuner.screens.dialogs.confirm import Confirm
        from tui_tuner.screens.runs.deleting import deletion_text

        text = deletion_text(Path(entry.summary.folder), self.tuner.environment.home)
        question = Confirm(f"Delete {entry.summary.id}?", text, yes="Delete")
        if not await self.app.push_screen_wait(question):
            return
        try:
            shutil.rmtree(entry.summary.folder)
        except OSError as error:
            hint = "What was left of it is still there."
            self.tuner.tell(MachineError(f"{entry.summary.folder} cannot be deleted: {error.strerror}.", hint))
        self._marked -= {entry.summary.folder}
        self._list()
