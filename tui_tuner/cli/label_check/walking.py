"""The walk through an audit, at the length that training would settle. Only chosen rows are kept in memory."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.theme import Theme

from tui_tuner.cli.label_check.choices import Choice, NextRow, NumberedRow
from tui_tuner.cli.label_check.inputs import LabelInputs
from tui_tuner.cli.label_check.packed import PackedRows, packed_rows
from tui_tuner.cli.terminal import STYLES
from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.checked_rows import ReportProgress
from tui_tuner.data.label_audit import AuditedRow, AuditRun, audit_rows
from tui_tuner.data.lengths.settling import settle_max_length
from tui_tuner.data.tokenizer import TextTokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Walked:
    """What a walk leaves: the chosen rows, and what is known of all."""

    rows: Sequence[AuditedRow]
    report: LabelReport
    template: str
    tokenizer: TextTokenizer
    max_length: int | None
    """None where nobody gave one, and none could be settled."""
    packed: PackedRows | None = None
    """None where rows are not packed, or no max length is known."""


def walk(inputs: LabelInputs, choice: Choice) -> Walked:
    """Walk through the rows; where `max_length` is "auto" and cuts something, a second time at the settled length.

    Raises:
        TunerError: the data cannot be used, or the choice names a row that there is not.
    """
    lengths = _Lengths(len(inputs.data.sources))
    with progress_bar() as progress, open_audit(inputs, progress) as run:
        rows = lengths.measured(run.rows())
        chosen = choice.of(rows)
        if inputs.max_length is None and inputs.context_length is not None:
            for _ in rows:
                pass  # the length is settled by all of them
        walked = _walked(run, chosen, inputs.max_length)
    if inputs.max_length is not None:
        return replace(walked, packed=packed_rows(inputs.data, lengths.training, inputs.max_length))
    if inputs.context_length is None:
        return walked
    settled = settle_max_length(inputs.data, lengths.all, lengths.has_documents, inputs.context_length)
    walked = replace(walked, max_length=settled, packed=packed_rows(inputs.data, lengths.training, settled))
    is_row = isinstance(choice, NumberedRow)
    longest = max((_length_to_fit(row) for row in chosen), default=0) if is_row else lengths.longest
    if longest <= settled:
        return walked
    again = walk(replace(inputs, max_length=settled), choice)
    # Of these choices only the first walk has seen all rows.
    return replace(again, report=walked.report) if isinstance(choice, NumberedRow | NextRow) else again


def open_audit(inputs: LabelInputs, progress: ReportProgress) -> AuditRun:
    return audit_rows(inputs.data, inputs.tokenizer_folder, inputs.train_on, inputs.max_length, progress)


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


class _Lengths:
    """The lengths of rows that walk past."""

    def __init__(self, num_sources: int) -> None:
        self._num_sources = num_sources
        self.all: array[int] = array("q")
        self.training: array[int] = array("i")
        """Those of the rows to learn from that are kept."""
        self.longest = 0
        """Of those that may be too long."""
        self.has_documents = False

    def measured(self, rows: Iterator[AuditedRow]) -> Iterator[AuditedRow]:
        for row in rows:
            if row.kind != "unusable":
                self.all.append(len(row.input_ids))
                if row.source < self._num_sources and len(row.input_ids):
                    self.training.append(len(row.input_ids))
                self.longest = max(self.longest, _length_to_fit(row))
                self.has_documents |= row.kind == "document"
            yield row


def _length_to_fit(row: AuditedRow) -> int:
    """A document is split, so that it fits everywhere."""
    return 0 if row.kind == "document" else len(row.input_ids)
