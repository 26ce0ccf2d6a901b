"""How long a sequence may be, whether rows are packed, and what happens to rows that are longer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.recipe import DataSection

ROUNDED_TO = 64
COVERED_PERCENT = 99
CHEAP_STRETCH = 2.0
"""The longest row is covered too where it is at most this many times the 99th percentile."""
LONGEST_AUTO_DOCUMENT = 2048
"""Plain text is split anyway; longer pieces cost memory and teach a LoRA little more."""
PACKED_FROM_ROWS = 2000
PACKED_BELOW_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedExamples:
    """Examples of at most the max length, and what it took."""

    examples: tuple[LabelledExample, ...]
    num_cut: int
    num_answers_cut: int
    """Rows that lost trained tokens."""
    num_dropped: int
    """Rows left out: too long, or nothing trained was left after the cut."""
    full_lengths: tuple[int, ...]
    """Tokens of each conversation before the cut, dropped ones included, and of each piece of a document."""


def settle_max_length(data: DataSection, lengths: Sequence[int], has_documents: bool, context_length: int) -> int:
    """The recipe's value, else 99 % of the rows rounded up, all of them where that is cheap, within the context."""
    if data.max_length != "auto":
        return min(data.max_length, context_length)
    if not lengths:
        return min(LONGEST_AUTO_DOCUMENT, context_length)
    covered = np.minimum(lengths, LONGEST_AUTO_DOCUMENT) if has_documents else np.asarray(lengths)
    p99, longest = int(np.percentile(covered, COVERED_PERCENT, method="higher")), int(covered.max())
    wanted = longest if longest <= CHEAP_STRETCH * p99 else p99
    return min(context_length, -(-wanted // ROUNDED_TO) * ROUNDED_TO)


def settle_packing(data: DataSection, lengths: Sequence[int], num_rows: int, max_length: int) -> bool:
    """The recipe's value, else on for many short rows."""
    if data.packing != "auto":
        return data.packing
    is_short = bool(lengths) and float(np.mean(lengths)) < PACKED_BELOW_SHARE * max_length
    return num_rows > PACKED_FROM_ROWS and is_short


def fit_examples(examples: Sequence[LabelledExample], max_length: int, over_length: str) -> FittedExamples:
    """Split documents, and cut or drop conversations, that are longer than `max_length`."""
    fitted: list[LabelledExample] = []
    full_lengths: list[int] = []
    num_cut = num_answers_cut = num_dropped = 0
    for example in examples:
        if example.kind == "document":
            pieces = _pieces(example, max_length)
            fitted.extend(pieces)
            full_lengths.extend(piece.num_tokens for piece in pieces)
            continue
        full_lengths.append(example.num_tokens)
        if example.num_tokens <= max_length:
            fitted.append(example)
        else:
            kept = _cut(example, max_length)
            if over_length == "drop" or kept.num_trained == 0:
                num_dropped += 1
                continue
            num_cut += 1
            num_answers_cut += bool(np.any(example.labels[max_length:] != NOT_TRAINED))
            fitted.append(kept)
    return FittedExamples(
        examples=tuple(fitted),
        num_cut=num_cut,
        num_answers_cut=num_answers_cut,
        num_dropped=num_dropped,
        full_lengths=tuple(full_lengths),
    )


def _cut(example: LabelledExample, max_length: int) -> LabelledExample:
    return replace(example, input_ids=example.input_ids[:max_length], labels=example.labels[:max_length])


def _pieces(example: LabelledExample, max_length: int) -> list[LabelledExample]:
    """Consecutive pieces; a rest of one token predicts nothing and is left off."""
    pieces = []
    for start in range(0, example.num_tokens - 1, max_length):
        input_ids = example.input_ids[start : start + max_length]
        opening = min(example.answer_start, max(1, len(input_ids) // 2))
        pieces.append(
            replace(
                example, input_ids=input_ids, labels=input_ids, prompt_ids=input_ids[:opening], answer_start=opening
            )
        )
    return pieces
