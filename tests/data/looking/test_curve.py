import numpy as np
import pytest

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths.cutting import breaks_off, cut_conversation
from tui_tuner.data.looking.curve import AtLength, CurveTally, LengthCurve
from tui_tuner.data.rows import RowRef

DRAW = np.random.default_rng(7)
LIMITS = (8, 9, 17, 40, 63, 64, 120, 200, 999)


def _example(length: int) -> LabelledExample:
    """A conversation with answers at random places, the first token among them now and then."""
    ids = np.arange(length, dtype=np.int32)
    borders = DRAW.integers(0, 2, size=-(-length // 7)).repeat(7)[:length].astype(bool)
    labels = np.where(borders, ids, NOT_TRAINED).astype(np.int32)
    start = int(np.flatnonzero(borders)[-1]) if borders.any() else 0
    return LabelledExample(
        ref=RowRef("rows", 1), kind="conversation", input_ids=ids, labels=labels, prompt_ids=ids[:0], answer_start=start
    )


ROWS = [one for one in (_example(int(length)) for length in DRAW.integers(8, 150, size=120)) if one.num_trained]


def _curve() -> LengthCurve:
    tally = CurveTally()
    for row in ROWS:
        tally.add(row)
    lengths = np.array([row.num_tokens for row in ROWS], dtype=np.int32)
    trained = np.array([row.num_trained for row in ROWS], dtype=np.int32)
    first = np.array([np.flatnonzero(row.labels[1:] >= 0)[0] + 1 for row in ROWS], dtype=np.int32)
    return LengthCurve(lengths, trained, first, tally.counts(), 0)


def _cut_one_by_one(limit: int) -> AtLength:
    kept = [cut_conversation(row, limit) if row.num_tokens > limit else row for row in ROWS]
    return AtLength(
        max_length=limit,
        over_length="cut",
        num_rows=len(ROWS),
        rows_longer=sum(row.num_tokens > limit for row in ROWS),
        rows_left_out=sum(one is None for one in kept),
        answers_cut=sum(one is not None and breaks_off(row, one) for row, one in zip(ROWS, kept, strict=True)),
        share_kept=sum(one.num_trained for one in kept if one) / sum(row.num_trained for row in ROWS),
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_what_a_cut_takes_is_what_cutting_every_row_takes(limit: int) -> None:
    told, counted = _curve().at(limit, "cut", len(ROWS)), _cut_one_by_one(limit)
    assert told.share_kept == pytest.approx(counted.share_kept)
    assert (told.rows_longer, told.rows_left_out, told.answers_cut) == (
        counted.rows_longer,
        counted.rows_left_out,
        counted.answers_cut,
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_dropping_longer_rows_takes_all_that_they_train(limit: int) -> None:
    told = _curve().at(limit, "drop", len(ROWS))
    kept = sum(row.num_trained for row in ROWS if row.num_tokens <= limit)
    assert told.share_kept == pytest.approx(kept / sum(row.num_trained for row in ROWS))
    assert told.rows_left_out == told.rows_longer and not told.is_least


def test_rows_that_lose_turns_keep_at_least_what_the_others_train() -> None:
    dropped, kept = (_curve().at(64, policy, len(ROWS)) for policy in ("drop", "keep_turns"))
    assert kept.share_kept == dropped.share_kept and kept.is_least and kept.rows_left_out is None
