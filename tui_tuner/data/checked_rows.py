"""All rows of a data section as a stream: read, converted, rendered, tokenised, labelled and audited, in their order.

Memory holds a few batches, whatever the length of the files.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from tui_tuner.data.audit.findings import Finding, finding_of_refusal
from tui_tuner.data.audit.row_checks import check_pair, check_tokens
from tui_tuner.data.audit.second_method import compare_methods
from tui_tuner.data.labels import LabelledExample, LabelledRow, TrainOn, label_rows
from tui_tuner.data.rendering.limits import size_of
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rows import BadRow, RowRef, Sample
from tui_tuner.data.source_samples import SourceReader
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.data.turns import LocatedTurns
from tui_tuner.plan import SourceFacts
from tui_tuner.recipe import DataSection

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
    refusal: str = ""
    """Why there is no example."""


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

    def __init__(self, data: DataSection) -> None:
        self._digest = hashlib.sha256()
        sources = (*data.sources, *data.evaluation_sources)
        self._readers = [SourceReader(source, self._digest) for source in sources]
        self._num_bytes = sum(reader.num_bytes for reader in self._readers)
        self._is_labelling = True

    def rows(
        self, pool: RenderPool, tokenizer: TextTokenizer, train_on: TrainOn, progress: ReportProgress
    ) -> Iterator[CheckedRow]:
        """Every row once. The pool has its template.

        Raises:
            DataError: a file or the template cannot be used.
        """
        for batch, rendered in pool.rows((batch, batch.samples) for batch in self._batches()):
            answers = iter(rendered)
            rows = [entry if isinstance(entry, BadRow) else next(answers) for entry in batch.entries]
            for index, labelled in zip(batch.indices, label_rows(rows, tokenizer, train_on), strict=True):
                yield _checked(index, batch.source, labelled, tokenizer)
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
                if self._is_labelling or isinstance(entry, BadRow):
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


def _checked(index: int, source: int, labelled: LabelledRow | BadRow, tokenizer: TextTokenizer) -> CheckedRow:
    if isinstance(labelled, BadRow):
        finding = finding_of_refusal(labelled.reason)
        return CheckedRow(
            index=index,
            ref=labelled.ref,
            source=source,
            text="",
            example=None,
            findings=(finding,),
            refusal=labelled.reason,
        )
    return CheckedRow(
        index=index,
        ref=labelled.rendered.ref,
        source=source,
        text=labelled.rendered.text,
        example=replace(labelled.example, source=source),
        findings=tuple(_findings(labelled, tokenizer)),
    )


def _findings(row: LabelledRow, tokenizer: TextTokenizer) -> Iterator[Finding]:
    yield from row.rendered.findings
    if row.rendered.second is not None:
        located = LocatedTurns(text=row.rendered.text, turns=row.rendered.turns)
        difference = compare_methods(located, row.rendered.second, row.encoded)
        if difference is not None:
            yield difference
    if row.rejected is None:
        yield from check_tokens(row.example, tokenizer)
        return
    yield from check_pair(row.example, row.rejected.example, tokenizer)
    for finding in _findings(row.rejected, tokenizer):
        yield replace(finding, detail=f"rejected: {finding.detail}")
