"""The few shapes that everything drawn is made of: titled blocks, labelled lines, bars, and text from outside."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from tui_tuner.safe_text import one_line, visible

INDENT = 2
LABEL_WIDTH = 11
# Headlines and values start in one column.
VALUE_COLUMN = INDENT + LABEL_WIDTH + 2
MAX_SHOWN_TEXT = 2000
_EIGHTHS = " ▏▎▍▌▋▊▉"


def block(title: str, headline: str | Text, *lines: RenderableType) -> RenderableType:
    """A heading with the one thing to know, and the details under it, indented; a blank line follows."""
    head = Table.grid(Column(width=VALUE_COLUMN - 1), Column(overflow="fold"), padding=(0, 1, 0, 0))
    head.add_row(Text(title, style="title"), headline if isinstance(headline, Text) else outside(headline))
    return Group(head, *(Padding(line, (0, 0, 0, INDENT)) for line in lines), "")


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Labelled lines; texts wrap under themselves."""
    table = Table.grid(
        Column(style="label", width=LABEL_WIDTH, no_wrap=True), Column(overflow="fold"), padding=(0, 2, 0, 0)
    )
    for label, value in rows:
        table.add_row(label, value if isinstance(value, Text) else outside(value))
    return table


def remarks(texts: Iterable[str], state: str = "warn") -> Table:
    """Lines with the glyph of a state in front."""
    table = Table.grid(Column(width=1), Column(overflow="fold"), padding=(0, 1, 0, 0))
    for text in texts:
        table.add_row(mark(state), outside(text))
    return table


def columns(*headers: str, right: Sequence[int] = (), expand: bool = False) -> Table:
    """An empty table without lines; the numbers of the columns in `right` are set flush right."""
    table = Table(
        box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="label", show_header=any(headers), expand=expand
    )
    for place, header in enumerate(headers):
        table.add_column(header, justify="right" if place in right else "left", overflow="fold")
    return table


def outside(text: str, style: str = "") -> Text:
    """Text that came from a model, a data file, a path or an error, safe to show on several lines."""
    return Text(visible(text[:MAX_SHOWN_TEXT]), style=style)


def outside_line(text: str, style: str = "", limit: int = 200) -> Text:
    """The same on one line."""
    return Text(one_line(text, limit), style=style)


def short_path(path: str) -> Text:
    """The last two parts, for a path inside a folder that is named elsewhere."""
    return outside_line("/".join(Path(path).parts[-2:]), "quiet")


def joined(*parts: str | Text | None) -> Text:
    """The parts with " · " between them; empty ones are left out."""
    shown = [part if isinstance(part, Text) else outside(part) for part in parts if part]
    return Text(" · ", style="quiet").join(shown)


def bar(share: float, width: int, style: str = "learned") -> Text:
    """A bar of eighths; anything above zero shows at least one."""
    eighths = min(8 * width, max(round(8 * width * share), 1 if share > 0 else 0))
    return Text("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip(), style=style)


def mark(state: str) -> Text:
    """The glyph of a state, in its colour."""
    glyph, style = _MARKS[state]
    return Text(glyph, style=style)


_MARKS = {
    "good": ("✓", "good"),
    "warn": ("!", "warn"),
    "bad": ("✗", "bad"),
    "running": ("●", "learned"),
    "paused": ("‖", "warn"),
    "completed": ("✓", "good"),
    "stopped": ("■", "warn"),
    "failed": ("✗", "bad"),
    "interrupted": ("✗", "warn"),
    "unreadable": ("?", "bad"),
    "ok": ("✓", "good"),
    "warning": ("!", "warn"),
    "fail": ("✗", "bad"),
    "blocking": ("✗", "bad"),
    "note": ("•", "quiet"),
}
