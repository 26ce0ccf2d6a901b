"""The facts that a plan shows of the data: exact ones from labelled examples, estimates from a sample of the rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tui_tuner.data.lengths.fitted_store import FittedStore
from tui_tuner.data.lengths.settling import COVERED_PERCENT, settle_max_length, settle_packing
from tui_tuner.data.packing import pack
from tui_tuner.data.source_samples import SourceSamples
from tui_tuner.data.splits import epoch_order, num_held_out
from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.data.tokenizer import IntArray
from tui_tuner.plan import DataFacts, SourceFacts
from tui_tuner.recipe import DataSection

NO_TEMPLATE = "none: the data is plain text"


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledRow:
    """The size of one row, in tokens, before anything is cut."""

    source: int
    num_tokens: int
    num_trained: int
    is_document: bool
    can_shrink: bool = True
    """Whether something of it is kept where it is too long."""


def exact_facts(
    data: DataSection,
    found: Sequence[SourceFacts],
    template: str,
    max_length: int,
    fitted: FittedStore,
    split: tuple[StoredExamples, StoredExamples],
) -> DataFacts:
    """Facts of labelled data; tokens and sequences are those of one epoch. Rows cut and dropped are not counted yet."""
    train, evaluation = split
    order = epoch_order(train.sources, [source.weight for source in data.sources], data.seed, epoch=0, shuffle=False)
    lengths = train.lengths[order]
    packing = settle_packing(data, lengths, len(train), max_length)
    of_training, of_evaluation = _source_facts(data, found)
    return DataFacts(
        sources=of_training,
        evaluation_sources=of_evaluation,
        template=template,
        num_rows=len(train),
        num_evaluation_rows=len(evaluation),
        num_tokens=int(lengths.sum(dtype=np.int64)),
        num_trained_tokens=int(train.num_trained[order].sum(dtype=np.int64)),
        longest=int(fitted.full_lengths.max()),
        p99_length=_p99(fitted.full_lengths),
        max_length=max_length,
        packing=packing,
        num_sequences=len(pack(lengths, max_length)) if packing else len(lengths),
        is_exact=True,
    )


def estimated_facts(
    data: DataSection,
    found: Sequence[SourceSamples],
    template: str,
    rows: Sequence[SampledRow],
    context_length: int,
) -> DataFacts:
    """Facts scaled up from a sample. Without rows, for want of a tokenizer, lengths stay unknown."""
    lengths = [row.num_tokens for row in rows]
    max_length = settle_max_length(data, lengths, any(row.is_document for row in rows), context_length)
    pieces = [piece for row in rows for piece in _pieces(row, max_length)]
    counts = [_num_rows(index, one, rows, max_length) for index, one in enumerate(found)]
    of_training = sum(counts[: len(data.sources)])
    held_out = round(sum(counts[len(data.sources) :])) or num_held_out(round(of_training), data.evaluation_fraction)
    num_rows = round(of_training) - (0 if data.evaluation_sources else held_out)
    share = num_rows / max(1.0, of_training)
    epoch_rows = share * sum(count * source.weight for count, source in zip(counts, data.sources, strict=False))
    tokens, trained = _epoch_tokens(data, found, rows, max_length)
    packing = settle_packing(data, [min(piece, max_length) for piece in pieces], num_rows, max_length)
    sources, evaluation_sources = _source_facts(data, [one.facts for one in found])
    return DataFacts(
        sources=sources,
        evaluation_sources=evaluation_sources,
        template=template,
        num_rows=num_rows,
        num_evaluation_rows=held_out,
        num_dropped=round(
            sum(_scale(one) * len(one.bad_rows) for one in found)
            + sum(_scale(found[row.source]) for row in rows if _is_left_out(row, max_length))
        ),
        num_cut=round(sum(_scale(found[row.source]) for row in rows if _is_cut(row, max_length))),
        num_tokens=round(tokens * share) if rows else None,
        num_trained_tokens=round(trained * share) if rows else None,
        longest=max(pieces) if rows else None,
        p99_length=_p99(pieces) if rows else None,
        max_length=max_length,
        packing=packing,
        num_sequences=None if packing else max(1, round(epoch_rows)),
    )


def template_words(description: str, found: Iterable[SourceFacts]) -> str:
    """The template for people; plain text needs none."""
    return NO_TEMPLATE if all(one.shape == "text" for one in found) else description


def _source_facts(
    data: DataSection, facts: Sequence[SourceFacts]
) -> tuple[tuple[SourceFacts, ...], tuple[SourceFacts, ...]]:
    """Those of training and those of held-out sources."""
    facts = tuple(facts)
    return facts[: len(data.sources)], facts[len(data.sources) :]


def _p99(lengths: Sequence[int] | IntArray) -> int:
    return int(np.percentile(lengths, COVERED_PERCENT, method="higher"))


def _scale(found: SourceSamples) -> float:
    """How many rows of the source each sampled one stands for."""
    return found.facts.num_rows / max(1, len(found.samples) + len(found.bad_rows))


def _pieces(row: SampledRow, max_length: int) -> list[int]:
    """Lengths of what the row becomes: a document is split, a conversation stays one row."""
    if not row.is_document:
        return [row.num_tokens]
    whole, rest = divmod(row.num_tokens, max_length)
    return [max_length] * whole + ([rest] if rest > 1 else [])


def _is_cut(row: SampledRow, max_length: int) -> bool:
    return not row.is_document and row.can_shrink and row.num_tokens > max_length


def _is_left_out(row: SampledRow, max_length: int) -> bool:
    return not row.is_document and not row.can_shrink and row.num_tokens > max_length


def _num_rows(index: int, found: SourceSamples, rows: Sequence[SampledRow], max_length: int) -> float:
    of_source = [row for row in rows if row.source == index]
    if not of_source:
        return float(found.facts.num_rows)
    kept = sum(len(_pieces(row, max_length)) for row in of_source if not _is_left_out(row, max_length))
    return max(1.0, _scale(found) * kept)


def _epoch_tokens(
    data: DataSection, found: Sequence[SourceSamples], rows: Sequence[SampledRow], max_length: int
) -> tuple[float, float]:
    """Tokens and trained tokens of one pass over the training sources. A cut is taken to shorten both alike."""
    tokens = trained = 0.0
    for row in rows:
        if row.source < len(data.sources) and not _is_left_out(row, max_length):
            scale = _scale(found[row.source]) * data.sources[row.source].weight
            kept = max_length / row.num_tokens if _is_cut(row, max_length) else 1.0
            tokens += scale * kept * row.num_tokens
            trained += scale * kept * row.num_trained
    return tokens, trained
