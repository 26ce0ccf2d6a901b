"""The only way for text from outside (data, models, files, errors) to become something that a widget draws.

Markup in it is never interpreted, and what would steer a terminal becomes visible.
"""

from pathlib import Path

from rich.text import Text
from textual.content import Content
from textual.style import Style

from tui_tuner.safe_text import one_line, visible

MAX_LENGTH = 2000


def shown(text: str, style: str | Style = "", limit: int = MAX_LENGTH) -> Content:
    """Text as it is, over as many lines as it has; more than `limit` characters end in "…"."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return Content.styled(visible(cut), style) if style else Content(visible(cut))


def shown_line(text: str, style: str | Style = "", limit: int = 200) -> Content:
    """Text on one line."""
    line = one_line(text, limit)
    return Content.styled(line, style) if style else Content(line)


def short_path(path: Path, home: Path) -> str:
    """A path as a person writes it: below the home folder it begins with "~"."""
    return f"~/{path.relative_to(home)}" if path != home and path.is_relative_to(home) else str(path)


def shortened_paths(text: str, home: Path) -> str:
    """A text in which every path below the home folder begins with "~"."""
    return text.replace(f"{home}/", "~/")


def cell(text: str, style: str = "", justify: "str" = "left", limit: int = 200) -> Text:
    """Text for a cell of a DataTable, which measures rich's `Text` rightly and Content wrongly."""
    return Text(one_line(text, limit), style=style, justify="right" if justify == "right" else "left", no_wrap=True)
