"""Cuts through tokens: what is kept of a row, and what a document is split into."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.material import REF
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths.cutting import breaks_off, cut_conversation, num_answers, split_document


def conversation(mask: str) -> LabelledExample:
    """One token for each letter; "T" is trained."""
    ids = np.arange(10, 10 + len(mask), dtype=np.int32)
    labels = np.where(np.array(list(mask)) == "T", ids, np.int32(NOT_TRAINED))
    start = mask.rindex(".T") + 1 if ".T" in mask else 0
    return LabelledExample(
        ref=REF,
        kind="conversation",
        input_ids=ids,
        labels=labels,
        prompt_ids=ids[:start],
        answer_start=start,
        question="q",
    )


@pytest.mark.parametrize(
    ("mask", "kept", "is_broken", "answers"),
    [("..TT.TTT", 6, True, 2), ("..TTTTTT", 6, True, 1), ("..TT....", 6, False, 1), ("TTTTTTTT", 6, True, 1)],
)
def test_a_cut_keeps_the_beginning_and_tells_what_breaks_off(
    mask: str, kept: int, is_broken: bool, answers: int
) -> None:
    full = conversation(mask)
    cut = cut_conversation(full, 6)
    assert cut is not None
    assert (cut.num_tokens, breaks_off(full, cut), num_answers(cut)) == (kept, is_broken, answers)


def test_a_cut_that_leaves_nothing_trained_leaves_nothing() -> None:
    assert cut_conversation(conversation("......TT"), 6) is None


def test_the_last_answer_that_is_kept_is_the_one_that_is_asked_for() -> None:
    kept = cut_conversation(conversation("..TT..TT"), 6)
    assert kept is not None
    assert (kept.answer_start, kept.prompt_ids.tolist(), kept.question) == (2, [10, 11], "")


@given(length=st.integers(2, 60), limit=st.integers(2, 20))
def test_pieces_of_a_document_are_the_document(length: int, limit: int) -> None:
    document = replace(conversation("T" * length), kind="document")
    pieces = split_document(document, limit)
    together = np.concatenate([piece.input_ids for piece in pieces])
    assert len(document.input_ids) - len(together) in (0, 1)  # a last token alone predicts nothing
    assert together.tolist() == document.input_ids[: len(together)].tolist()
    assert all(2 <= piece.num_tokens <= limit and np.array_equal(piece.labels, piece.input_ids) for piece in pieces)
