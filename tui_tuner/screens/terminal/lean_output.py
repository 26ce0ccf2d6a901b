"""Sends to the terminal only the cells that differ from what it shows: a watched run must be cheap over a slow line.

Textual repaints whole widgets, for a title too. This remembers what was sent and leaves out what is there already. It
never changes what is seen: whatever it is not sure of is sent as it comes.
"""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.control import Control
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.strip import Strip

Cell = tuple[str, Style | None]
MAX_GAP = 6
"""Equal cells between two that differ are sent too where moving the cursor would take more bytes."""


class SentCells:
    """What the terminal shows, as far as it is known."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[int, Cell]] = {}

    def forget(self) -> None:
        """The terminal may show anything: it was resized, drawn anew, or given away for a while."""
        self._rows.clear()

    def lean(self, update: ChopsUpdate) -> "LeanUpdate":
        """The same update without the cells that are there already; it must be sent, for they count as sent now."""
        return LeanUpdate([piece for y, x, strip in _strips(update) for piece in self._changed(y, x, strip)])

    def _changed(self, y: int, x: int, strip: Strip) -> Iterator[tuple[int, int, Strip]]:
        row = self._rows.setdefault(y, {})
        cells = _cells(strip)
        if cells is None:
            # Wide or combining characters: which cells they take is the terminal's business.
            for place in range(x, x + strip.cell_length):
                row.pop(place, None)
            yield y, x, strip
            return
        begin, end = None, 0
        for place, cell in enumerate(cells, start=x):
            if row.get(place) == cell:
                continue
            row[place] = cell
            if begin is not None and place - end > MAX_GAP:
                yield y, begin, strip.crop(begin - x, end - x)
                begin = None
            begin, end = place if begin is None else begin, place + 1
        if begin is not None:
            yield y, begin, strip.crop(begin - x, end - x)


class LeanUpdate(CompositorUpdate):
    """Pieces of lines, each with its place."""

    def __init__(self, pieces: Sequence[tuple[int, int, Strip]]) -> None:
        self.pieces = pieces

    def __rich_console__(self, *_: object) -> Iterator[Segment]:
        for y, x, strip in self.pieces:
            yield Control.move_to(x, y).segment
            yield from strip

    def render_segments(self, console: Console) -> str:
        return "".join(
            f"{Control.move_to(x, y).segment.text}{strip.simplify().render(console)}" for y, x, strip in self.pieces
        )


def _strips(update: ChopsUpdate) -> Iterator[tuple[int, int, Strip]]:
    """Row, column and content of every piece that the update would send, as its own `render_segments` has them."""
    for y, x1, x2 in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is None or x > x2 or end <= x1:
                continue
            yield y, x, strip if x2 > x >= x1 and end <= x2 else strip.crop(0, min(end, x2) - x)


def _cells(strip: Strip) -> list[Cell] | None:
    """One entry a cell; None where a character takes none or two."""
    cells: list[Cell] = []
    for text, style, control in strip:
        if control or not (text.isascii() or all(cell_len(sign) == 1 for sign in text)):
            return None
        cells += [(sign, style) for sign in text]
    return cells
