"""How long a sequence may be, whether rows are packed, and what happens to rows that are longer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.tokenizer import IntArray
from tui_tuner.recipe import DataSection

ROUNDED_TO = 64
COVERED_PERCENT = 99
CHEAP_STRETCH = 2.0
"""The longest row is covered too where it is at most this many times the 99th percentile."""
LONGEST_AUTO_DOCUMENT = 2048
"""Plain text is split anyway; longer pieces cost memory and teach a LoRA little more."""
PACKED_FROM_ROWS = 2000
PACKED_BELOW_SHARE = 0.5
OverLength = Literal["keep_turns", "drop", "cut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedExamples:
    """Examples of at most the max length, and what it took."""

    examples: tuple[LabelledExample, ...]
    num_cut: int
    """Rows that are shorter now, whichever way."""
    num_answers_cut: int
    """Rows of which an answer breaks off in its middle."""
    num_dropped: int
    """Rows left out: too long, or nothing trained was left after the cut."""
    full_lengths: tuple[int, ...]
    """Tokens of each conversation before the cut, dropped ones included, and of each piece of a document."""


def settle_max_length(
    data: DataSection, lengths: Sequence[int] | IntArray, has_documents: bool, context_length: int
) -> int:
    """The recipe's value, else 99 % of the rows rounded up, all of them where that is cheap, within the context."""
    if data.max_length != "auto":
        return min(data.max_length, context_length)
    if not len(lengths):
        return min(LONGEST_AUTO_DOCUMENT, context_length)
    covered = np.minimum(lengths, LONGEST_AUTO_DOCUMENT) if has_documents else np.asarray(lengths)
    p99, longest = int(np.percentile(covered, COVERED_PERCENT, method="higher")), int(covered.max())
    wanted = longest if longest <= CHEAP_STRETCH * p99 else p99
    return min(context_length, -(-wanted // ROUNDED_TO) * ROUNDED_TO)


def settle_packing(data: DataSection, lengths: Sequence[int], num_rows: int, max_length: int) -> bool:
    """The recipe's value, else on for many short rows."""
    if data.packing != "auto":
        return data.packing
    is_short = len(lengths) > 0 and float(np.mean(lengths)) < PACKED_BELOW_SHARE * max_length
    return num_rows > PACKED_FROM_ROWS and is_short


def fit_examples(examples: Sequence[LabelledExample], max_length: int, over_length: OverLength) -> FittedExamples:
    """Split documents, and shorten or drop conversations, that are longer than `max_length`."""
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
        kept = fit_conversation(example, max_length, over_length)
        if kept is None:
            num_dropped += 1
            continue
        fitted.append(kept)
        num_cut += kept is not example
        num_answers_cut += breaks_off(example, kept)
    return FittedExamples(
        examples=tuple(fitted),
        num_cut=num_cut,
        num_answers_cut=num_answers_cut,
        num_dropped=num_dropped,
        full_lengths=tuple(full_lengths),
    )


def fit_conversation(example: LabelledExample, max_length: int, over_length: OverLength) -> LabelledExample | None:
    """The conversation as it is where it fits; otherwise what the policy leaves of it, None where that is nothing.

    "keep_turns" ends the row behind the last answer that fits whole: what is left is seen and trained exactly as it
    would be without the later turns. Where everything is trained there are no answers, and the row is cut.
    """
    if example.num_tokens <= max_length:
        return example
    if over_length == "drop":
        return None
    end = max_length
    if over_length == "keep_turns" and example.labels[0] == NOT_TRAINED:
        ends = _answers(example)[1]
        end = int(ends[ends <= max_length].max(initial=0))
    kept = _beginning(example, end)
    return kept if kept.num_trained else None


def breaks_off(full: LabelledExample, kept: LabelledExample) -> bool:
    """Whether an answer of the full row ends in its middle in the beginning that is kept of it."""
    end = kept.num_tokens
    is_cut = 0 < end < full.num_tokens
    return is_cut and bool(full.labels[end - 1] != NOT_TRAINED and full.labels[end] != NOT_TRAINED)


def _beginning(example: LabelledExample, end: int) -> LabelledExample:
    """The first tokens of a row. Where its last answer is gone, the one before it is the last."""
    kept = replace(example, input_ids=example.input_ids[:end], labels=example.labels[:end])
    if example.answer_start < end:
        return kept
    starts = _answers(kept)[0]
    start = int(starts[-1]) if starts.size else end
    return replace(kept, prompt_ids=kept.input_ids[:start], answer_start=start, question="")


def _answers(example: LabelledExample) -> tuple[IntArray, IntArray]:
    """Where each run of trained tokens starts and ends."""
    is_trained = np.concatenate(([False], example.labels != NOT_TRAINED, [False]))
    borders = np.flatnonzero(is_trained[1:] != is_trained[:-1]).astype(np.int32)
    return borders[::2], borders[1::2]


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
