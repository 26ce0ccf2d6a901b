"""The labels of every row in the order of the files: what training would see, with findings, for `tuner labels`.

Nothing is dropped, split or shuffled here, and nothing is cut unless a max length is given.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.report import LabelReport, ReportBuilder
from tui_tuner.data.certificate import (
    Certificate,
    known_differences,
    masking_code_hash,
    read_certificate,
    tokenizer_hash,
)
from tui_tuner.data.checked_rows import CheckedRow, ReportProgress, RowStream
from tui_tuner.data.labels import LabelledExample, TrainOn
from tui_tuner.data.lengths.row_fitting import FittedRow, RowFitter
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import ChosenTemplate, choose_template
from tui_tuner.data.rows import RowRef
from tui_tuner.data.tokenizer import IntArray, TextTokenizer, load_text_tokenizer
from tui_tuner.places import path_of
from tui_tuner.recipe import DataSection

NO_TOKENS = np.empty(0, dtype=np.int32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AuditedRow:
    """One row of the data, labelled, with everything that was found in it."""

    index: int
    """From 0, over all sources in their order, held-out sources last."""
    ref: RowRef
    source: int
    """Index of the data source in the recipe; held-out sources count on."""
    kind: Literal["conversation", "document", "unusable"]
    text: str
    """The rendered text, exactly as it was tokenised, without what is added as ids; empty where unusable.

    Of a row that lost turns it is that without them; of one that is cut or left out it is the whole text.
    """
    input_ids: IntArray
    """Empty where the row is unusable, or left out for its length."""
    labels: IntArray
    """Unshifted: the token itself where it is trained, -100 elsewhere; as long as `input_ids`."""
    cut_ids: IntArray
    """What the max length takes off the end of the row: all of a row that is left out."""
    cut_labels: IntArray
    num_turns_dropped: int
    """Oldest turns that the max length takes away."""
    findings: tuple[Finding, ...]
    """For an unusable row the reason is one of them."""


class AuditRun:
    """One pass over the data. Also a context manager; leaving it early ends the processes that render."""

    def __init__(
        self,
        data: DataSection,
        tokenizer_folder: Path,
        train_on: TrainOn,
        max_length: int | None,
        progress: ReportProgress,
    ) -> None:
        self._data = data
        self._train_on = train_on
        self._max_length = max_length
        self._progress = progress
        self._certified = None if data.certificate is None else read_certificate(path_of(data.certificate))
        self._data_hash: str | None = None
        """Known when all rows have been read."""
        self._pool = RenderPool()
        self.tokenizer: TextTokenizer = load_text_tokenizer(tokenizer_folder)
        """The model's tokenizer, for showing tokens."""
        self._chosen: ChosenTemplate = choose_template(data.chat_template, self.tokenizer)
        self._pool.load(self._chosen.audited(self.tokenizer))
        self._report = ReportBuilder(data.on_disagreement, data.on_bad_row)
        if max_length is not None:
            self._report.settle(max_length, data.over_length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.close()

    @property
    def template(self) -> str:
        """Which chat template renders the rows, in words."""
        return self._chosen.description

    @property
    def report(self) -> LabelReport:
        """The report over the rows that `rows` has given so far: of all rows once it has ended."""
        report = self._report.report()
        if self._certified is None or not (changed := self._changed(self._certified)):
            return report
        reasons = (*report.reasons, f"Not the certified labels: {', '.join(changed)}")
        return report.model_copy(update={"reasons": reasons, "refuses": True})

    def rows(self) -> Iterator[AuditedRow]:
        """Every row once, in order from index 0; one pass only.

        Raises:
            DataError: a file or the template cannot be used.
        """
        stream, fitter = RowStream(self._data), None
        if self._max_length is not None:
            fitter = RowFitter(self._max_length, self._data.over_length, self._pool, self.tokenizer, self._train_on)
        for row in stream.rows(self._pool, self.tokenizer, self._train_on, self._progress, fitter):
            yield self._audited(row)
        self._data_hash = stream.data_hash()

    def _changed(self, certified: Certificate) -> tuple[str, ...]:
        """What decides labels and is not as it was certified. Equal causes have equal labels."""
        now: dict[str, object] = {
            "tokenizer": tokenizer_hash(self.tokenizer),
            "template": hashlib.sha256(self._chosen.text.encode("utf-8")).hexdigest(),
            "masking_code": masking_code_hash(),
            "train_on": self._train_on,
            "over_length": self._data.over_length,
        }
        if self._data_hash is not None:
            now["data"] = self._data_hash
        if self._max_length is not None:
            now["max_length"] = self._max_length
        return known_differences(certified, now)

    def _audited(self, row: CheckedRow) -> AuditedRow:
        if row.example is None:
            (finding,) = row.findings
            self._report.add_refused(row.index, row.ref, finding)
            return _unusable(row)
        is_evaluation = row.source >= len(self._data.sources)
        findings = self._report.add(row.index, row.example, row.findings, is_evaluation)
        is_dropped = row.disagreement is not None and self._data.on_disagreement == "drop"
        if row.fitted is not None and not is_dropped:
            self._report.add_fit(row.index, row.example, row.fitted, was_compared=row.is_compared)
        return _usable(row, row.example, row.fitted, findings)


def audit_rows(
    data: DataSection,
    tokenizer_folder: Path,
    train_on: TrainOn,
    max_length: int | None,
    progress: ReportProgress,
) -> AuditRun:
    """Start the audit of all sources of a data section; rows are read while `rows` is walked through.

    `tokenizer_folder` needs no more than a tokenizer. With a `max_length` conversations come as they are trained at
    it, shortened as the recipe's `over_length` says; rows that are left out come with that as a finding, and no tokens.
    `progress` hears how many bytes of how many are done.

    Raises:
        DataError: the tokenizer or the template cannot be used.
    """
    return AuditRun(data, tokenizer_folder, train_on, max_length, progress)


def _unusable(row: CheckedRow) -> AuditedRow:
    return AuditedRow(
        index=row.index,
        ref=row.ref,
        source=row.source,
        kind="unusable",
        text=row.text,
        input_ids=NO_TOKENS,
        labels=NO_TOKENS,
        cut_ids=NO_TOKENS,
        cut_labels=NO_TOKENS,
        num_turns_dropped=0,
        findings=row.findings,
    )


def _usable(
    row: CheckedRow, whole: LabelledExample, fitted: FittedRow | None, findings: tuple[Finding, ...]
) -> AuditedRow:
    kept = whole if fitted is None else fitted.example
    num_turns_dropped = 0 if fitted is None else fitted.num_turns_dropped
    num_kept = 0 if kept is None else kept.num_tokens
    # A row that lost turns was rendered anew, and ends where the whole row ends.
    cut_from = whole.num_tokens if num_turns_dropped else num_kept
    return AuditedRow(
        index=row.index,
        ref=row.ref,
        source=row.source,
        kind=whole.kind,
        text=row.text if fitted is None else fitted.text,
        input_ids=NO_TOKENS if kept is None else kept.input_ids,
        labels=NO_TOKENS if kept is None else kept.labels,
        cut_ids=whole.input_ids[cut_from:],
        cut_labels=whole.labels[cut_from:],
        num_turns_dropped=num_turns_dropped,
        findings=findings if fitted is None else (*findings, *fitted.findings),
    )
