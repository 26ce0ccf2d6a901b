"""The one console that results are drawn on, and the names of its colours.

Colour never carries meaning alone: each use has a glyph or a weight beside it.
"""

import functools
import json
import sys

from rich.console import Console, RenderableType
from rich.theme import Theme

MAX_WIDTH = 120
STYLES = {
    "title": "bold #56b4e9",
    "label": "dim",
    "learned": "#56b4e9",
    "yours": "#ffb454",
    "good": "#4cc99a",
    "warn": "#f0c43a",
    "bad": "#ff7a66",
    "quiet": "dim",
    "strong": "bold",
    "trained": "bold",
    "masked": "dim",
}


@functools.cache
def console() -> Console:
    """Standard output. Plain text without escape codes where it is no terminal."""
    return make_console()


def make_console(width: int | None = None) -> Console:
    """Outside text must never be read as markup, emoji codes or links, so all of that is off."""
    made = Console(theme=Theme(STYLES), markup=False, emoji=False, highlight=False, width=width)
    if width is None and made.width > MAX_WIDTH:
        made.width = MAX_WIDTH
    return made


def show(*renderables: RenderableType) -> None:
    """Draw on standard output; a file or a pipe gets lines without trailing spaces."""
    screen = console()
    if screen.is_terminal:
        screen.print(*renderables, sep="\n")
        return
    with screen.capture() as captured:
        screen.print(*renderables, sep="\n")
    for line in captured.get().splitlines():
        print_line(line.rstrip())


def print_json(value: object) -> None:
    """JSON on standard output; `value` is made of plain lists, dicts, texts and numbers."""
    print_line(json.dumps(value, indent=2, ensure_ascii=False))


def print_line(text: str) -> None:
    """Exactly this text: no wrapping, no colours."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
