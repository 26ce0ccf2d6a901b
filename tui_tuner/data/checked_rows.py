"""All rows of a data section as a stream: read, converted, rendered, tokenised, labelled and audited, in their order.

Memory holds a few batches, whatever the length of the files.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from tui_tuner.data.audit.findings import Finding, finding_of_refusal, finding_of_unreadable
from tui_tuner.data.audit.row_checks import row_findings
from tui_tuner.data.labels import LabelledExample, LabelledRow, TrainOn, label_rows
from tui_tuner.data.lengths.row_fitting import FittedRow, RowFitter
from tui_tuner.data.rendering.limits import size_of
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rows import BadRow, RowRef, Sample
from tui_tuner.data.source_samples import SourceReader
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.plan import SourceFacts
from tui_tuner.recipe import DataSection

RowFlags = np.ndarray[tuple[int], np.dtype[np.bool_]]
ReportProgress = Callable[[int, int], None]
"""Hears how many bytes of how many are done. A hub data set has no bytes."""
ROWS_AT_ONCE, CHARACTERS_AT_ONCE = 128, 2**18
"""A token on its way takes some hundred bytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CheckedRow:
    """One row of the data with its labels, or why it has none."""

    index: int
    """From 0 over all sources, held-out sources last."""
    ref: RowRef
    source: int
    text: str
    example: LabelledExample | None
    findings: tuple[Finding, ...]
    """Those of the whole row."""
    refusal: str = ""
    """Why there is no example."""
    fitted: FittedRow | None = None
    """What is trained of a conversation above the max length; None where there is none, or the row fits.

    Its findings repeat no check that the whole row has failed already.
    """

    @property
    def disagreement(self) -> str | None:
        """How the two methods differ on the whole row, where they do."""
        return next((one.detail for one in self.findings if one.check == "disagreement"), None)

    @property
    def is_compared(self) -> bool:
        """Whether both methods apply to the whole row."""
        return all(one.check != "unconfirmed" for one in self.findings)


@dataclass(slots=True)
class _Batch:
    """Rows that are rendered together, and what of the files is read when they are done."""

    source: int
    indices: list[int] = field(default_factory=list)
    entries: list[Sample | BadRow] = field(default_factory=list)
    num_characters: int = 0
    bytes_done: int = 0

    @property
    def samples(self) -> list[Sample]:
        return [entry for entry in self.entries if not isinstance(entry, BadRow)]


class RowStream:
    """One pass over all sources. Facts and hash are complete when the rows are at their end."""

    def __init__(self, data: DataSection, wanted: RowFlags | None = None) -> None:
        """`wanted` says of each row by its number whether it is given; all are where None."""
        self._wanted = wanted
        self._digest = hashlib.sha256()
        sources = (*data.sources, *data.evaluation_sources)
        self._readers = [SourceReader(source, self._digest) for source in sources]
        self._num_bytes = sum(reader.num_bytes for reader in self._readers)
        self._is_labelling = True

    def rows(
        self,
        pool: RenderPool,
        tokenizer: TextTokenizer,
        train_on: TrainOn,
        progress: ReportProgress,
        fitter: RowFitter | None = None,
    ) -> Iterator[CheckedRow]:
        """Every row once, fitted to a max length where there is a `fitter`. The pool has its template.

        Raises:
            DataError: a file or the template cannot be used.
        """
        for batch, rendered in pool.rows((batch, batch.samples) for batch in self._batches()):
            answers = iter(rendered)
            rows = [entry if isinstance(entry, BadRow) else next(answers) for entry in batch.entries]
            labelled = list(label_rows(rows, tokenizer, train_on, batch.source))
            fitted = [None] * len(rows) if fitter is None else fitter.fit(batch.entries, labelled)
            for index, entry, row, fit in zip(batch.indices, batch.entries, labelled, fitted, strict=True):
                if isinstance(row, BadRow):
                    yield _refused(index, batch.source, row, is_readable=not isinstance(entry, BadRow))
                else:
                    yield _checked(index, batch.source, row, fit, tokenizer)
            progress(batch.bytes_done, self._num_bytes)

    def stop_labelling(self) -> None:
        """From here on give only the rows that cannot be converted, which is quick."""
        self._is_labelling = False

    def facts(self) -> tuple[SourceFacts, ...]:
        return tuple(reader.facts() for reader in self._readers)

    def data_hash(self) -> str:
        """SHA-256 over the bytes of all files in order; of a hub data set, over its converted rows."""
        return self._digest.hexdigest()

    def _batches(self) -> Iterator[_Batch]:
        index = bytes_before = 0
        for source, reader in enumerate(self._readers):
            batch = _Batch(source)
            for entry in reader.samples():
                if self._is_wanted(index, entry):
                    batch.indices.append(index)
                    batch.entries.append(entry)
                    batch.num_characters += 0 if isinstance(entry, BadRow) else size_of(entry)[1]
                index += 1
                if len(batch.entries) == ROWS_AT_ONCE or batch.num_characters > CHARACTERS_AT_ONCE:
                    batch.bytes_done = bytes_before + reader.bytes_read
                    yield batch
                    batch = _Batch(source)
            bytes_before += reader.num_bytes
            batch.bytes_done = bytes_before
            yield batch

    def _is_wanted(self, index: int, entry: Sample | BadRow) -> bool:
        if self._wanted is not None:
            return index < len(self._wanted) and bool(self._wanted[index])
        return self._is_labelling or isinstance(entry, BadRow)


def _refused(index: int, source: int, row: BadRow, *, is_readable: bool) -> CheckedRow:
    finding = finding_of_refusal(row.reason) if is_readable else finding_of_unreadable(row.reason)
    return CheckedRow(
        index=index,
        ref=row.ref,
        source=source,
        text="",
        example=None,
        findings=(finding,),
        refusal=row.reason,
    )


def _checked(
    index: int, source: int, row: LabelledRow, fitted: FittedRow | None, tokenizer: TextTokenizer
) -> CheckedRow:
    findings = tuple(row_findings(row, tokenizer))
    if fitted is not None:
        failed = {one.check for one in findings}
        fitted = replace(
            fitted,
            example=None if fitted.example is None else replace(fitted.example, source=source),
            findings=tuple(one for one in fitted.findings if one.check not in failed),
        )
    return CheckedRow(
        index=index,
        ref=row.rendered.ref,
        source=source,
        text=row.rendered.text,
        example=row.example,
        findings=findings,
        fitted=fitted,
    )
