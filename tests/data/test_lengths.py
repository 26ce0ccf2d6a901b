"""What becomes of rows above the max length."""

import numpy as np
import pytest

from tests.data.material import REF
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths import OverLength, breaks_off, fit_conversation, fit_examples


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
    ("mask", "policy", "kept"),
    [
        ("..TT..TT", "keep_turns", 4),
        ("..TT....", "keep_turns", 4),
        ("..TTTTTT", "keep_turns", None),
        ("TTTTTTTT", "keep_turns", 6),
        ("..TT..TT", "drop", None),
        ("..TT.TTT", "cut", 6),
        ("......TT", "cut", None),
        ("..TT", "keep_turns", 4),
    ],
)
def test_a_row_above_six_tokens_keeps(mask: str, policy: OverLength, kept: int | None) -> None:
    fitted = fit_conversation(conversation(mask), 6, policy)
    assert (None if fitted is None else fitted.num_tokens) == kept


def test_whole_turns_never_break_off_and_cut_ones_are_told() -> None:
    full = conversation("..TT.TTT")
    whole, cut = fit_conversation(full, 6, "keep_turns"), fit_conversation(full, 6, "cut")
    assert whole is not None
    assert cut is not None
    assert (breaks_off(full, whole), breaks_off(full, cut), breaks_off(full, full)) == (False, True, False)


def test_the_last_answer_that_is_kept_is_the_one_that_is_asked_for() -> None:
    kept = fit_conversation(conversation("..TT..TT"), 6, "keep_turns")
    assert kept is not None
    assert (kept.answer_start, kept.prompt_ids.tolist(), kept.question) == (2, [10, 11], "")


def test_every_row_is_counted() -> None:
    rows = [conversation(mask) for mask in ("..TT", "..TT..TT", "..TTTTTT", "..T.TTTT")]
    fitted = fit_examples(rows, 6, "cut")
    assert (fitted.num_cut, fitted.num_answers_cut, fitted.num_dropped) == (3, 2, 0)
    assert fitted.full_lengths == (4, 8, 8, 8)
