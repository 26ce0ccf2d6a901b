"""One row as the model sees it: trained tokens bold behind a bar in the gutter, masked ones dim behind a dot."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from tui_tuner.cli import units
from tui_tuner.cli.views.blocks import block, joined, outside

Piece = tuple[str, bool]
"""The text of consecutive tokens of one kind, and whether they are trained."""


def labels_block(row: str, pieces: Sequence[Piece], num_tokens: int, num_trained: int) -> RenderableType:
    """`row` says where the row is from: "train.jsonl:17"."""
    share = units.percent(num_trained / num_tokens) if num_tokens else "none"
    table = Table.grid(Column(width=1), Column(overflow="fold"), padding=(0, 1, 0, 0))
    for line in _lines(pieces):
        table.add_row(_gutter(line), _text(line))
    headline = joined(outside(row), f"{units.count(num_tokens)} tokens, {share} of them trained")
    return block("Labels", headline, table)


def _lines(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces broken at newlines, each of which shows at the end of its line."""
    line: list[Piece] = []
    for text, is_trained in pieces:
        *ended, rest = text.split("\n")
        for part in ended:
            yield [*line, (part + "⏎", is_trained)]
            line = []
        if rest:
            line.append((rest, is_trained))
    if line:
        yield line


def _gutter(line: Sequence[Piece]) -> Text:
    return Text("▌", style="learned") if any(is_trained for _, is_trained in line) else Text("·", style="quiet")


def _text(line: Sequence[Piece]) -> Text:
    return Text.assemble(*(outside(text, "trained" if is_trained else "masked") for text, is_trained in line))
