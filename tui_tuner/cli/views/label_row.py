"""One audited row: where it is from, what was found in it, its text with what is trained, and its tokens if asked."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, joined, mark, outside, outside_line
from tui_tuner.cli.views.labelled_lines import CUT, LEGEND, MASKED, TRAINED, LabelledLines, Piece
from tui_tuner.cli.views.labels import shortened
from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.label_audit import AuditedRow
from tui_tuner.data.labels import NOT_TRAINED
from tui_tuner.data.tokenizer import IntArray

TOKEN_WIDTH = 14
PART_OF_CHARACTER, SPACE = "⋯", "␣"


def row_block(row: AuditedRow, texts: Sequence[str], *, is_in_full: bool = False) -> RenderableType:
    """`texts` are what each token adds, those that are cut off included; `is_in_full` leaves nothing out."""
    num_kept = len(row.input_ids)
    pieces, cut = [*pieces_of(texts[:num_kept], row.labels)], [*pieces_of(texts[num_kept:], row.cut_labels)]
    if not is_in_full:
        pieces, cut = ([(shortened(text), is_trained) for text, is_trained in some] for some in (pieces, cut))
    lines: list[RenderableType] = [LabelledLines(pieces, cut)] if pieces or cut else []
    if row.num_turns_dropped:
        lines.insert(0, _dropped(row.num_turns_dropped))
    return block(f"Row {row.index}", _headline(row), *_findings(row.findings, with_help=is_in_full), *lines)


def legend_block(num_rows: int) -> RenderableType:
    """Stands once before rows."""
    return block("Rows" if num_rows > 1 else "Row", Text(LEGEND, style="quiet"))


def tokens_block(row: AuditedRow, texts: Sequence[str], width: int) -> RenderableType:
    """Every token with its place, its id and what it adds to the text, in as many columns as fit."""
    places, ids = len(str(len(texts))), len(str(row.input_ids.max(initial=0)))
    size = 2 + places + 1 + ids + 1 + TOKEN_WIDTH
    num_columns = max(1, (width - 2) // (size + 2))
    table = Table.grid(*(Column(width=size, no_wrap=True) for _ in range(num_columns)), padding=(0, 2, 0, 0))
    cells = [
        Text.assemble(
            (TRAINED, "learned") if label != NOT_TRAINED else (MASKED, "quiet"),
            (f" {place:>{places}} ", "quiet"),
            (f"{token:>{ids}} ", "quiet"),
            outside_line(
                text.replace(" ", SPACE) or PART_OF_CHARACTER,
                "trained" if label != NOT_TRAINED else "masked",
                TOKEN_WIDTH,
            ),
        )
        for place, (token, label, text) in enumerate(
            zip(row.input_ids.tolist(), row.labels.tolist(), texts, strict=True)
        )
    ]
    for start in range(0, len(cells), num_columns):
        table.add_row(*cells[start : start + num_columns])
    return block("Tokens", f"place, id, what it adds to the text; {PART_OF_CHARACTER} is a part of a character", table)


def pieces_of(texts: Sequence[str], labels: IntArray) -> Iterator[Piece]:
    """The tokens' texts put together into runs of one kind."""
    tokens = zip(texts, labels.tolist(), strict=True)
    for is_trained, run in groupby(tokens, key=lambda token: token[1] != NOT_TRAINED):
        yield "".join(text for text, _ in run), is_trained


def _dropped(num_turns: int) -> Text:
    turns = "the oldest turn is" if num_turns == 1 else f"the {num_turns} oldest turns are"
    return Text(f"{CUT} {turns} dropped, to fit the max length; this is the row without", style="warn")


def _headline(row: AuditedRow) -> Text:
    if not len(row.input_ids):
        state = "cannot be used" if row.kind == "unusable" else "left out for its length"
        return joined(outside(str(row.ref)), state)
    num_trained = int(np.count_nonzero(row.labels != NOT_TRAINED))
    share = f", {units.percent(num_trained / len(row.labels))} of them trained" if num_trained else ", none trained"
    return joined(outside(str(row.ref)), f"{units.counted(len(row.input_ids), 'token')}{share}")


def _findings(findings: Sequence[Finding], *, with_help: bool) -> Iterator[RenderableType]:
    if not findings:
        return
    table = Table.grid(Column(width=1), Column(overflow="fold"), padding=(0, 1, 0, 0))
    for finding in sorted(findings, key=lambda one: list(CHECKS).index(one.check)):
        info = CHECKS[finding.check]
        where = f"turn {finding.message + 1}" if finding.message is not None else ""
        table.add_row(mark(info.severity), joined(Text(info.title, style="strong"), where, outside(finding.detail)))
        if with_help:
            table.add_row("", Text.assemble(("→ ", "yours"), info.help))
    yield table
