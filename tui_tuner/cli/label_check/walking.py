"""The walk through an audit, at the length that training would settle. Only chosen rows are kept in memory."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.theme import Theme

from tui_tuner.cli.label_check.choices import Choice, NextRow, NumberedRow
from tui_tuner.cli.label_check.inputs import LabelInputs
from tui_tuner.cli.terminal import STYLES
from tui_tuner.cli.views.label_row import pieces_of
from tui_tuner.cli.views.labelled_lines import Piece
from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.checked_rows import ReportProgress
from tui_tuner.data.label_audit import AuditedRow, AuditRun, audit_rows
from tui_tuner.data.lengths import settle_max_length
from tui_tuner.data.token_texts import token_texts
from tui_tuner.data.tokenizer import TextTokenizer

CUT_CHECKS = ("row_cut", "answer_cut")


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a walk leaves: the chosen rows, and what is known of all."""

    rows: Sequence[AuditedRow]
    report: LabelReport
    template: str
    tokenizer: TextTokenizer
    max_length: int | None
    """None where nobody gave one, and none could be settled."""


def walk(inputs: LabelInputs, choice: Choice) -> Walked:
    """Walk through the rows; where `max_length` is "auto" and cuts something, a second time with that cut.

    Raises:
        TunerError: the data cannot be used, or the choice names a row that there is not.
    """
    lengths: array[int] = array("q")
    has_documents = False

    def measured(rows: Iterator[AuditedRow]) -> Iterator[AuditedRow]:
        nonlocal has_documents
        for row in rows:
            if row.kind != "unusable":
                lengths.append(len(row.input_ids))
                has_documents |= row.kind == "document"
            yield row

    with progress_bar() as progress, open_audit(inputs, progress) as run:
        walked = _walked(run, choice.of(measured(run.rows())), inputs.max_length)
    ends_early = isinstance(choice, NumberedRow | NextRow)
    if inputs.max_length is not None or inputs.context_length is None or ends_early:
        return walked
    settled = settle_max_length(inputs.data, lengths, has_documents, inputs.context_length)
    if max(lengths, default=0) <= settled:
        return replace(walked, max_length=settled)
    return walk(replace(inputs, max_length=settled), choice)


def open_audit(inputs: LabelInputs, progress: ReportProgress) -> AuditRun:
    return audit_rows(inputs.data, inputs.tokenizer_folder, inputs.train_on, inputs.max_length, progress)


def cut_parts(inputs: LabelInputs, walked: Walked) -> dict[int, list[Piece]]:
    """What the max length takes off the ends of the chosen rows, by row; from an audit that cuts nothing."""
    shortened = {row.index: row for row in walked.rows if any(one.check in CUT_CHECKS for one in row.findings)}
    parts: dict[int, list[Piece]] = {}
    if walked.max_length is None or not shortened:
        return parts
    with progress_bar() as progress, open_audit(replace(inputs, max_length=None), progress) as run:
        for whole in run.rows():
            row = shortened.pop(whole.index, None)
            kept = 0 if row is None else len(row.input_ids)
            if row is not None and np.array_equal(whole.input_ids[:kept], row.input_ids):
                texts = token_texts(whole.input_ids, run.tokenizer)
                parts[row.index] = [*pieces_of(texts[kept:], whole.labels[kept:])]
            if not shortened:
                break
    return parts


@contextmanager
def progress_bar(*, may_draw: bool = True) -> Iterator[ReportProgress]:
    """A bar on stderr while the block runs, where that is a terminal; nothing of it stays."""
    if not (may_draw and sys.stderr.isatty()):
        yield lambda _done, _total: None
        return
    shaded = BarColumn(complete_style="learned", finished_style="learned", pulse_style="quiet")
    columns = (TextColumn("● labelling"), shaded, TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True, theme=Theme(STYLES)), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _walked(run: AuditRun, rows: Sequence[AuditedRow], max_length: int | None) -> Walked:
    return Walked(rows=rows, report=run.report, template=run.template, tokenizer=run.tokenizer, max_length=max_length)
