"""Cuts the micro-batches of a step into smaller ones: the same rows in the same order, the same loss of the step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from tui_tuner.engine.batches import MicroBatch, StepBatch
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL
from tui_tuner.plan import MemoryFit, RunPlan
from tui_tuner.planning.fitting.fit import with_smaller_way


def cut_step(batch: StepBatch, fit: MemoryFit) -> StepBatch:
    """Micro-batches as they would have been made with a smaller `training.micro_batch_size` from the start."""
    if fit.rows is None and fit.parts == 1:
        return batch
    return replace(batch, micro_batches=tuple(piece for one in batch.micro_batches for piece in _cut(one, fit)))


def next_fit(plan: RunPlan, fit: MemoryFit, batch: StepBatch) -> MemoryFit | None:
    """What to take a step with that did not fit: half the rows, parts of packed rows, layers that keep less.

    None where nothing is left to try.
    """
    now = cut_step(batch, fit)
    rows = max(len(one.documents) for one in now.micro_batches)
    if rows > 1:
        return fit.model_copy(update={"rows": (rows + 1) // 2})
    halves = fit.model_copy(update={"rows": 1, "parts": 2 * fit.parts})
    if _most_tokens(cut_step(batch, halves)) < _most_tokens(now):
        return halves
    return with_smaller_way(plan, fit)


def _most_tokens(batch: StepBatch) -> int:
    return max(one.num_tokens for one in batch.micro_batches)


def _cut(batch: MicroBatch, fit: MemoryFit) -> Iterator[MicroBatch]:
    size = len(batch.documents) if fit.rows is None else fit.rows
    for start in range(0, len(batch.documents), size):
        rows = range(start, min(start + size, len(batch.documents)))
        if fit.parts == 1 or len(rows) > 1:
            yield _rows(batch, rows)
            continue
        first = 0
        for count in _parts(batch.documents[start], fit.parts):
            yield _documents(batch, start, range(first, first + count))
            first += count


def _rows(batch: MicroBatch, rows: range) -> MicroBatch:
    """Whole rows, padded to the longest of them only."""
    documents = batch.documents[rows.start : rows.stop]
    before = sum(len(row) for row in batch.documents[: rows.start])
    examples = batch.examples[before : before + sum(len(row) for row in documents)]
    return _part(batch, (slice(rows.start, rows.stop), slice(0, max(map(sum, documents)))), documents, examples)


def _documents(batch: MicroBatch, row: int, numbers: range) -> MicroBatch:
    """Some consecutive documents of one row."""
    lengths = batch.documents[row]
    start, size = sum(lengths[: numbers.start]), sum(lengths[numbers.start : numbers.stop])
    before = sum(len(one) for one in batch.documents[:row])
    examples = batch.examples[before + numbers.start : before + numbers.stop]
    place = (slice(row, row + 1), slice(start, start + size))
    return _part(batch, place, (lengths[numbers.start : numbers.stop],), examples)


def _part(
    batch: MicroBatch, place: tuple[slice, slice], documents: tuple[tuple[int, ...], ...], examples: tuple[int, ...]
) -> MicroBatch:
    labels = batch.labels_BT[place].contiguous()
    return MicroBatch(
        batch.input_ids_BT[place].contiguous(),
        labels,
        batch.position_ids_BT[place].contiguous(),
        documents,
        int((labels != IGNORED_LABEL).sum()),
        examples,
    )


def _parts(lengths: Sequence[int], wanted: int) -> Iterator[int]:
    """Numbers of consecutive documents, so that each part has about as many tokens; none is empty."""
    total, taken, begun = sum(lengths), 0, 0
    closed = 0
    for number, length in enumerate(lengths, start=1):
        is_due = taken > 0 and taken + length / 2 > total * (closed + 1) / wanted
        if is_due and number - 1 > begun:
            yield number - 1 - begun
            begun, closed = number - 1, closed + 1
        taken += length
    yield len(lengths) - begun
