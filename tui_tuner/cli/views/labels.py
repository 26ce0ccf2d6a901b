"""The row that a run shows before it trains: trained tokens marked in the gutter, masked ones dim."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, joined, outside
from tui_tuner.cli.views.labelled_lines import LEGEND, LabelledLines, Piece

MAX_SHOWN_PIECE = 2000


def labels_block(row: str, pieces: Sequence[Piece], num_tokens: int, num_trained: int) -> RenderableType:
    """`row` says where the row is from: "train.jsonl:17". The middle of a very long piece is left out and counted."""
    share = units.percent(num_trained / num_tokens) if num_tokens else "none"
    headline = joined(outside(row), f"{units.count(num_tokens)} tokens, {share} of them trained")
    lines = LabelledLines([(shortened(text), is_trained) for text, is_trained in pieces])
    return block("Labels", headline, lines, Text(f"({LEGEND})", style="quiet"))


def shortened(text: str, limit: int = MAX_SHOWN_PIECE) -> str:
    """Beginning and end of a text that is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n⋯ {units.count(len(text) - 2 * half)} more characters ⋯\n{text[-half:]}"
