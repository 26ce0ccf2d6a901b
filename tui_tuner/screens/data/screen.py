"""The Data station: choose the data, see every row as it is trained, and what the checks found in it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.safe_text import visible
from tui_tuner.screens.data import menus
from tui_tuner.screens.data.fixes import fixes
from tui_tuner.screens.data.help_words import station_help
from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.data.lengths_panel import LengthsPanel
from tui_tuner.screens.data.panels import ChecksPanel, RowsPanel
from tui_tuner.screens.data.row_filter import HINT, filtered_rows
from tui_tuner.screens.data.sample_lines import MODES, Mode
from tui_tuner.screens.data.sample_panel import SamplePanel
from tui_tuner.screens.data.words import head_words, readout_words, words_instead
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.empty_words import empty_words
from tui_tuner.screens.shown import shortened_paths, shown_line
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.widgets.ask_line import AskLine
from tui_tuner.screens.widgets.line_list import LineList

if TYPE_CHECKING:
    from tui_tuner.screens.data.desk import LabelDesk


class DataScreen(Station):
    """Rows at the left, the row under the cursor beside them, checks at the right or in its place; lengths below."""

    STATION: ClassVar[StationName | None] = "data"
    CSS_PATH = "data.tcss"
    AUTO_FOCUS = "#rows"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("o", "sources", "data", id="data.open"),
        Binding("w", "next_problem", "next problem", id="data.next"),
        Binding("c", "checks", "checks", id="data.checks"),
        Binding("f", "fix", "fix…", id="data.fix"),
        Binding("m", "mode", "masks/text/ids", id="data.mode"),
        Binding("minus", "nudge(-1)", "shorter max length", show=False, id="nudge.less"),
        Binding("plus,equals_sign", "nudge(1)", "max length", key_display="- +", id="nudge.more"),
        Binding("t", "template", "template", id="data.template"),
        Binding("e", "held_out", "held-out", id="data.held-out"),
        Binding("slash", "filter", "find", id="filter"),
        Binding("y", "copy", "copy", show=False, id="copy"),
        Binding("r", "again", "look again", id="again"),
        Binding("x", "stop", "stop", id="stop"),
        Binding("escape", "back", "back", show=False, id="back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._timer: Timer | None = None
        self._labels: Labels | None = None
        self._mode: Mode = "masks"
        self._asked: tuple[object, ...] = ()
        """The row that was asked for last, and how it was to be drawn."""

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="data-station"):
            yield Static(classes="data-head")
            with Horizontal(classes="data-upper"):
                yield RowsPanel(self.glyphs)
                yield SamplePanel(self.glyphs)
                yield ChecksPanel(self.glyphs)
            yield LengthsPanel(self.glyphs)
            with VerticalScroll(classes="panel data-empty", can_focus=False) as panel:
                panel.border_title = Content("Data")
                yield Static(classes="data-words")
            yield AskLine()

    @property
    def desk(self) -> "LabelDesk":
        return self.tuner.bench.labels

    @property
    def rows(self) -> RowsPanel:
        return self.query_one(RowsPanel)

    @property
    def lengths(self) -> LengthsPanel:
        return self.query_one(LengthsPanel)

    def wake(self) -> None:
        if self._timer is None:
            self._timer = self.set_interval(self.tuner.environment.frame_seconds, self._look)
        self._timer.resume()
        self._look()

    def rest(self) -> None:
        if self._timer is not None:
            self._timer.pause()

    def on_unmount(self) -> None:
        if self.tuner.has_bench:
            self.desk.close()

    def outlook_changed(self) -> None:
        self.desk.follow(self.tuner.outlook)
        self._show(self.desk.labels_for(self.tuner.outlook))

    def help_text(self) -> str:
        return station_help(self._labels)

    # What the desk knows.

    def _look(self) -> None:
        if self.tuner.has_bench and self.has_body:
            labels = self.desk.labels_for(self.tuner.outlook)
            if labels is not self._labels:
                self._show(labels)

    def _show(self, labels: Labels | None) -> None:
        is_first = self._labels is None or not self._labels.num_rows
        self._labels = labels
        outlook, home = self.tuner.outlook, self.tuner.environment.home
        self.query_one(".data-head", Static).update(shown_line("  ·  ".join(head_words(outlook, labels))))
        words = words_instead(outlook, labels, self.glyphs)
        self.query_one(".data-station").set_class(bool(words), "is-empty")
        self.query_one(".data-words", Static).update(empty_words(visible(shortened_paths(words, home))))
        if labels is not None and not words:
            self.lengths.labels = labels
            self.rows.show(labels, self.lengths.line)
            self.query_one(ChecksPanel).show(labels, self.rows.filter)
            self._ask_sample()
            if is_first and self.focused is None:
                self.rows.listed.focus()
        elif words and self.focused is self.rows.listed:
            self.set_focus(None)  # what is not seen takes no keys
        said = "  ·  ".join(readout_words(labels, outlook, self.glyphs))
        self.show_readout(shown_line(shortened_paths(said, home)))
        self.refresh_bindings()

    # The row under the cursor.

    def _ask_sample(self) -> None:
        """Have the row under the cursor read and laid out, by a thread."""
        row = self.rows.row
        if self._labels is not None and row is not None:
            reader = self.desk.token_reader(self._labels)
            self.query_one(SamplePanel).ask(self._labels, row, self._mode, reader)

    @on(LineList.Moved)
    def moved(self, message: LineList.Moved) -> None:
        if message.line_list.id == "rows":
            self._ask_sample()
        elif message.line_list.id == "checks":
            self.query_one(ChecksPanel).explain()

    @on(LineList.Chosen)
    def chosen(self, message: LineList.Chosen) -> None:
        if message.line_list.id == "rows":
            self.query_one(".data-station").remove_class("-checks")
            self.query_one(SamplePanel).listed.focus()
        elif message.line_list.id == "checks":
            self._filter_by_check()

    # Keys.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        labels = self._labels
        has_rows = labels is not None and labels.num_rows > 0
        if action in ("next_problem", "checks", "fix", "mode", "nudge", "filter", "copy"):
            return has_rows
        if action == "stop":
            return labels is not None and labels.is_busy
        if action == "again":
            return True if self.tuner.has_bench and self.tuner.outlook.base is not None else None
        return True

    def action_next_problem(self) -> None:
        labels = self._labels
        if labels is None or labels.counted is None:
            return
        row = self.rows.next_of(labels.counted.problem_rows)
        if row is None:
            self.notify("No row has a warning or worse.", markup=False)
            return
        self.rows.go_to(row)

    def action_mode(self) -> None:
        self._mode = MODES[(MODES.index(self._mode) + 1) % len(MODES)]
        self._ask_sample()

    def action_checks(self) -> None:
        """To the checks and back; in a narrow terminal they take the place of the sample."""
        checks = self.query_one(ChecksPanel).listed
        if checks.has_focus:
            self.query_one(".data-station").remove_class("-checks")
            self.rows.listed.focus()
        else:
            self.query_one(".data-station").add_class("-checks")
            self.call_after_refresh(checks.focus)

    def _filter_by_check(self) -> None:
        labels, entry = self._labels, self.query_one(ChecksPanel).entry
        if labels is None or entry is None:
            return
        if self.rows.filter == entry.info.title:
            self._list_all()
            return
        self.rows.show_only(labels.rows_of(entry.info.name), entry.info.title)
        self.query_one(".data-station").remove_class("-checks")
        self.rows.listed.focus()
        self.query_one(ChecksPanel).show(labels, self.rows.filter)
        self._ask_sample()

    def _list_all(self) -> None:
        self.rows.show_only(None)
        if self._labels is not None:
            self.query_one(ChecksPanel).show(self._labels, "")
        self._ask_sample()

    def action_filter(self) -> None:
        self.query_one(AskLine).ask("Find rows", "", self._judge_filter)

    def _judge_filter(self, text: str) -> str:
        if self._labels is None or not text.strip():
            return HINT
        found = filtered_rows(self._labels, text)
        return f"!{found}" if isinstance(found, str) else f"{len(found):,} rows"

    @on(AskLine.Answered)
    def filter_answered(self, message: AskLine.Answered) -> None:
        found = filtered_rows(self._labels, message.text) if self._labels and message.text.strip() else None
        if found is None or isinstance(found, str):
            self._list_all()
        elif message.text.strip().replace(",", "").isdigit():
            self.rows.show_only(None)
            self.rows.go_to(int(found[0]))
        else:
            self.rows.show_only(found, message.text.strip())
            self._ask_sample()
        self.rows.listed.focus()

    def action_nudge(self, direction: int) -> None:
        self.lengths.nudge(direction)
        self.lengths.focus()

    @on(LengthsPanel.Moved)
    def cutoff_moved(self) -> None:
        self.rows.show_cutoff(self.lengths.line)

    @on(LengthsPanel.Set)
    def cutoff_set(self, message: LengthsPanel.Set) -> None:
        context = self.tuner.outlook.base.facts.context_length if self.tuner.outlook.base else message.length
        if message.length > context:
            self.notify(f"The model's context is {context:,} tokens; longer rows are cut there.", markup=False)
        self.lengths.cutoff = None
        self.tuner.set_value(min(message.length, context), "data", "max_length")

    def action_back(self) -> None:
        if self.query_one(".data-station").has_class("-checks"):
            self.query_one(".data-station").remove_class("-checks")
        elif self.lengths.cutoff is not None:
            self.lengths.cutoff = None
        elif self.rows.filter:
            self._list_all()
        self.rows.listed.focus()

    def action_copy(self) -> None:
        self.query_one(SamplePanel).copy()

    def action_again(self) -> None:
        self.tuner.bench.desk.look_again()
        self.desk.look_again(self.tuner.outlook)

    def action_stop(self) -> None:
        self.desk.stop()

    # Questions.

    @work(exclusive=True, group="dialog")
    async def action_sources(self) -> None:
        place, draft = await menus.ask_sources(self.tuner)
        self._change(draft if place is None else await menus.ask_about_source(self.tuner, place))

    @work(exclusive=True, group="dialog")
    async def action_template(self) -> None:
        self._change(await menus.ask_template(self.tuner))

    @work(exclusive=True, group="dialog")
    async def action_held_out(self) -> None:
        self._change(await menus.ask_held_out(self.tuner))

    @work(exclusive=True, group="dialog")
    async def action_fix(self) -> None:
        labels, base = self._labels, self.tuner.outlook.base
        found = fixes(labels, self.tuner.draft, base.facts.context_length) if labels and base else ()
        if not found:
            self.notify("There is nothing that the recipe could mend.", markup=False)
            return
        fix = await menus.ask_fix(self.tuner, found)
        if fix is not None:
            self._change(fix.draft or await menus.ask_template(self.tuner))

    def _change(self, draft: Draft | None) -> None:
        if draft is not None and draft != self.tuner.draft:
            self.tuner.change_draft(draft)
