"""Labelled text folded at the width that is there. What is trained can be told without colour or weight.

The gutter says it of a whole line; under a line that holds both kinds a second line marks what is trained.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from tui_tuner.safe_text import visible

TRAINED, PARTLY, MASKED, CUT, UNDER = "▌", "▖", "·", "✂", "▔"
LEGEND = f"{TRAINED} trained, {MASKED} masked, {PARTLY} both: what stands over {UNDER} is trained"
END_OF_LINE, TAB = "⏎", "⇥   "
MIN_WIDTH = 8

Piece = tuple[str, bool]
"""The text of consecutive tokens of one kind, and whether they are trained."""


@dataclass(frozen=True, slots=True)
class LabelledLines:
    """A renderable: `pieces`, and behind a line that says so the pieces that training does not see."""

    pieces: Sequence[Piece]
    cut: Sequence[Piece] = ()

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        gutter = 2 if self.cut else 1
        width = max(MIN_WIDTH, options.max_width - gutter - 1)
        yield from _drawn(self.pieces, width, " " * (gutter - 1))
        if self.cut:
            yield Text(f"{CUT} from here on cut off by the max length".ljust(width), style="warn", no_wrap=True)
            yield from _drawn(self.cut, width, CUT)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One character with its kind, and the columns that it takes."""

    text: str
    is_trained: bool
    size: int


def _drawn(pieces: Sequence[Piece], width: int, before: str) -> Iterator[Text]:
    for line in _folded(_lines(pieces), width):
        kinds = {cell.is_trained for cell in line}
        sign = PARTLY if len(kinds) > 1 else TRAINED if True in kinds else MASKED
        gutter = (before + sign, "quiet" if sign == MASKED else "learned")
        yield Text.assemble(gutter, " ", *_runs(line), no_wrap=True)
        if sign == PARTLY:
            under = "".join((UNDER if cell.is_trained else " ") * cell.size for cell in line)
            yield Text.assemble(" " * (len(before) + 2), (under.rstrip(), "learned"), no_wrap=True)


def _runs(line: Sequence[_Cell]) -> Iterator[tuple[str, str]]:
    for is_trained, cells in groupby(line, key=lambda cell: cell.is_trained):
        yield "".join(cell.text for cell in cells), "trained" if is_trained else "masked"


def _lines(pieces: Iterable[Piece]) -> Iterator[list[_Cell]]:
    """The pieces broken at newlines, each of which shows at the end of its line."""
    line: list[_Cell] = []
    for text, is_trained in pieces:
        for char in visible(text.replace("\t", TAB)):
            shown = END_OF_LINE if char == "\n" else char
            line.append(_Cell(shown, is_trained, cell_len(shown)))
            if char == "\n":
                yield line
                line = []
    if line:
        yield line


def _folded(lines: Iterable[list[_Cell]], width: int) -> Iterator[list[_Cell]]:
    """Each line broken where it is full, behind a space where one is near; nothing is left out."""
    for line in lines:
        part: list[_Cell] = []
        used = 0
        for cell in line:
            if used + cell.size > width:
                kept = _last_space(part, width)
                yield part[:kept]
                part = part[kept:]
                used = sum(one.size for one in part)
            part.append(cell)
            used += cell.size
        yield part


def _last_space(part: Sequence[_Cell], width: int) -> int:
    """Where to break: behind the last space of the last third, else at the end."""
    spaces = (
        place + 1 for place in range(len(part) - 1, max(0, len(part) - width // 3), -1) if part[place].text == " "
    )
    return next(spaces, len(part))
