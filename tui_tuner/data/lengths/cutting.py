"""Cuts through tokens: the beginning of a row that is too long, the pieces of a document. Nothing is rendered here."""

from dataclasses import replace

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.tokenizer import IntArray


def cut_conversation(example: LabelledExample, max_length: int) -> LabelledExample | None:
    """The first tokens of a conversation; None where none of them is trained."""
    kept = replace(example, input_ids=example.input_ids[:max_length], labels=example.labels[:max_length])
    if kept.num_trained == 0:
        return None
    if example.answer_start < max_length:
        return kept
    # The last answer is gone: the one before it is the last.
    start = int(_answer_starts(kept)[-1])
    return replace(kept, prompt_ids=kept.input_ids[:start], answer_start=start, question="")


def split_document(example: LabelledExample, max_length: int) -> list[LabelledExample]:
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


def breaks_off(full: LabelledExample, kept: LabelledExample) -> bool:
    """Whether an answer of the full row ends in its middle in the beginning that is kept of it."""
    end = kept.num_tokens
    is_cut = 0 < end < full.num_tokens
    return is_cut and bool(full.labels[end - 1] != NOT_TRAINED and full.labels[end] != NOT_TRAINED)


def num_answers(example: LabelledExample) -> int:
    """Runs of trained tokens."""
    return len(_answer_starts(example))


def _answer_starts(example: LabelledExample) -> IntArray:
    is_trained = np.concatenate(([False], example.labels != NOT_TRAINED))
    return np.flatnonzero(is_trained[1:] & ~is_trained[:-1]).astype(np.int32)
