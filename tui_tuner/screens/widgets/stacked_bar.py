"""One bar of several parts, each with a fill and a colour of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.style import Style
from rich.text import Text

from tui_tuner.screens.look.glyphs import Glyphs

FILLS = "█▓▒▚▞▤"
ASCII_FILLS = "#=%+*~"


@dataclass(frozen=True, slots=True)
class Part:
    """A share of the whole bar, 0 to 1."""

    share: float
    style: Style


def stacked_bar(parts: Sequence[Part], width: int, glyphs: Glyphs, track: Style) -> Text:
    """The parts one after another, on a track. A part that is not nothing has a cell while there is room."""
    text, used, reached = Text(no_wrap=True), 0, 0.0
    for number, part in enumerate(parts):
        reached += max(0.0, part.share)
        end = min(width, max(round(reached * width), used + (1 if part.share > 0 else 0)))
        text.append(fill_of(number, glyphs) * (end - used), style=part.style)
        used = end
    text.append(glyphs.track * (width - used), style=track)
    return text


def fill_of(number: int, glyphs: Glyphs) -> str:
    """The sign of a part, for a legend."""
    fills = ASCII_FILLS if glyphs.name == "ascii" else FILLS
    return fills[number % len(fills)]
