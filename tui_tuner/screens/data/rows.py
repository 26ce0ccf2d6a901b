"""A row of the data as one line of the list, and the line above it."""

from dataclasses import dataclass

from rich.text import Text

from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks
from tui_tuner.screens.widgets.bars import bar

BAR_WIDTH = 3
SIGN_WIDTH = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRow:
    """What the line says."""

    number: int
    """From 1."""
    num_tokens: int
    num_trained: int
    is_unusable: bool
    is_longer: bool
    """Than the max length at the cursor."""
    severity: int
    """0 none, 1 note, 2 warning, 3 blocking."""


def number_width(num_rows: int) -> int:
    """Cells for the largest number."""
    return max(4, len(f"{num_rows:,}"))


def row_line(row: SampleRow, width: int, numbers: int, glyphs: Glyphs, inks: Inks) -> Text:
    """Number, tokens, share that is trained, and what is wrong with it."""
    line = Text(f"{row.number:>{numbers},} ", style=inks.muted, no_wrap=True)
    if row.is_unusable:
        line.append(f"{'no labels':>{max(9, width - numbers - SIGN_WIDTH - 1)}}", style=inks.muted)
    else:
        share = row.num_trained / max(1, row.num_tokens)
        line.append(f"{row.num_tokens:>{_token_width(width, numbers)},} ", style=inks.plain)
        line.append(bar(share, BAR_WIDTH, glyphs), style=inks.train)
        line.append(f"{share:>5.0%}", style=inks.plain)
    sign, ink = row_sign(row, glyphs, inks)
    line.append(f" {sign}", style=ink)
    return line


def row_header(width: int, numbers: int) -> str:
    """Names of the columns."""
    return f"{'#':>{numbers}} {'tok':>{_token_width(width, numbers)}} {'trained':>{BAR_WIDTH + 5}}"


def row_sign(row: SampleRow, glyphs: Glyphs, inks: Inks) -> tuple[str, str]:
    """The worst of it: a blocking check, then what is cut, then a warning."""
    if row.severity >= 3:
        return glyphs.failed, str(inks.error)
    if row.is_longer:
        return glyphs.cut, str(inks.you)
    if row.severity == 2:
        return glyphs.attention, str(inks.warning)
    return " ", ""


def _token_width(width: int, numbers: int) -> int:
    return max(5, width - numbers - 1 - 1 - BAR_WIDTH - 5 - SIGN_WIDTH)
