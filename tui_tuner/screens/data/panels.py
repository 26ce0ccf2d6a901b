"""The lists of rows and of checks. Each draws values that it is given."""

from typing import ClassVar

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from tui_tuner.data.looking.look import RowNumbers
from tui_tuner.safe_text import visible
from tui_tuner.screens.data.check_lines import CheckEntry, check_entries, check_line, checks_title, quiet_lines
from tui_tuner.screens.data.help_words import CHECKS_HELP
from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.data.rows import SampleRow, number_width, row_header, row_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import inks_of
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.screens.widgets.list_header import ListHeader


class RowsPanel(Vertical):
    """All rows, or those of a filter."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(classes="panel samples")
        self._glyphs = glyphs
        self._labels: Labels | None = None
        self._rows: RowNumbers | None = None
        self.filter = ""
        """In words; empty where all rows are listed."""
        self._cutoff: int | None = None

    def compose(self) -> ComposeResult:
        rows = LineList(self._draw, name="rows", classes="-picker", opens="read")
        yield ListHeader(lambda width: Content(row_header(width, self._numbers)), rows, classes="rows-header")
        yield rows

    @property
    def listed(self) -> LineList:
        return self.query_one("#rows", LineList)

    @property
    def row(self) -> int | None:
        """The number of the row under the cursor, from 0."""
        cursor = self.listed.cursor
        if cursor >= self.count:
            return None
        return cursor if self._rows is None else int(self._rows[cursor])

    @property
    def count(self) -> int:
        return (self._labels.num_rows if self._labels else 0) if self._rows is None else len(self._rows)

    def show(self, labels: Labels, cutoff: int | None) -> None:
        self._labels, self._cutoff = labels, cutoff
        if self._rows is not None and len(self._rows) and int(self._rows[-1]) >= labels.num_rows:
            self._rows, self.filter = None, ""
        self._redraw()

    def show_cutoff(self, cutoff: int | None) -> None:
        self._cutoff = cutoff
        self.listed.redraw()

    def show_only(self, rows: RowNumbers | None, words: str = "") -> None:
        """List some rows, or all of them; the cursor stays on its row where that is listed."""
        before = self.row
        self._rows, self.filter = rows, words if rows is not None else ""
        self._redraw()
        self.go_to(before or 0)

    def go_to(self, row: int) -> None:
        """Put the cursor on a row, or on the next one that is listed."""
        place = row if self._rows is None else int(np.searchsorted(self._rows, row))
        self.listed.cursor = min(place, max(0, self.count - 1))

    def next_of(self, rows: RowNumbers) -> int | None:
        """The first of `rows` behind the cursor that is listed, from the top again behind the last."""
        listed = rows if self._rows is None else np.intersect1d(rows, self._rows, assume_unique=True)
        if not len(listed):
            return None
        place = int(np.searchsorted(listed, -1 if self.row is None else self.row, side="right"))
        return int(listed[place % len(listed)])

    def _redraw(self) -> None:
        shown = f"{self.count:,}"
        total = f" of {self._labels.num_rows:,}" if self._labels and self._rows is not None else ""
        self.border_title = Content(f"Rows · {shown}{total}")
        self.border_subtitle = Content(visible(self.filter)[:22])
        self.query_one(ListHeader).refresh()
        self.listed.redraw(self.count)

    @property
    def _numbers(self) -> int:
        return number_width(self._labels.num_rows if self._labels else 0)

    def _draw(self, index: int, width: int) -> Text:
        labels = self._labels
        number = index if self._rows is None else int(self._rows[index])
        if labels is None or labels.look is None or labels.counted is None or number >= labels.num_rows:
            return Text("")
        look = labels.look
        length = int(look.lengths[number])
        is_longer = self._cutoff is not None and length > self._cutoff and look.can_be_cut(number)
        row = SampleRow(
            number=number + 1,
            num_tokens=length,
            num_trained=int(look.trained[number]),
            is_unusable=look.is_unusable(number),
            is_longer=is_longer,
            severity=int(labels.counted.worst[number]),
        )
        return row_line(row, width, self._numbers, self._glyphs, inks_of(self.app.theme_variables))


class ChecksPanel(Vertical):
    """What the checks found, and what the one under the cursor means."""

    HELP: ClassVar[str | None] = CHECKS_HELP

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(classes="panel checks")
        self._glyphs = glyphs
        self.entries: tuple[CheckEntry, ...] = ()
        self._filter = ""

    def compose(self) -> ComposeResult:
        yield LineList(self._draw, name="checks", classes="-picker", opens="list rows")
        yield Static(classes="quiet")
        yield Static(classes="checks-help")

    @property
    def listed(self) -> LineList:
        return self.query_one("#checks", LineList)

    @property
    def entry(self) -> CheckEntry | None:
        cursor = self.listed.cursor
        return self.entries[cursor] if cursor < len(self.entries) else None

    def show(self, labels: Labels, filter_words: str) -> None:
        self.entries, self._filter = check_entries(labels), filter_words
        self.border_title = Content(checks_title(labels))
        self.border_subtitle = Content("f fixes" if self.entries else "")
        inks = inks_of(self.app.theme_variables)
        self.query_one(".quiet", Static).update(quiet_lines(self.entries, labels, self._glyphs, inks))
        self.listed.redraw(len(self.entries))
        self.listed.styles.height = max(1, len(self.entries))
        self.explain()

    def explain(self) -> None:
        """The meaning of the check under the cursor."""
        entry = self.entry
        self.query_one(".checks-help", Static).update(Content(entry.info.help if entry else ""))

    def _draw(self, index: int, _width: int) -> Text:
        entry = self.entries[index]
        inks = inks_of(self.app.theme_variables)
        return check_line(entry, self._glyphs, inks, is_filter=entry.info.title == self._filter)
