"""Held-out rows and the order of an epoch."""

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest

from tui_tuner.data.splits import bin_order, epoch_order, num_held_out, split_rows
from tui_tuner.data.tokenizer import IntArray


def rows_of(*sources: int) -> IntArray:
    """The data source of each row."""
    return np.array(sources, dtype=np.int32)


@pytest.mark.parametrize(
    ("rows", "fraction", "held_out"),
    [(9, "auto", 0), (10, "auto", 1), (100, "auto", 5), (7473, "auto", 200), (100, 0.2, 20), (3, 0.1, 1), (3, 0.99, 2)],
)
def test_the_number_of_held_out_rows(rows: int, fraction: float, held_out: int) -> None:
    assert num_held_out(rows, fraction) == held_out


def test_nothing_is_held_out_at_zero() -> None:
    assert num_held_out(1000, 0.0) == 0


def test_every_row_is_on_one_side() -> None:
    train, evaluation = split_rows(100, 0.25, seed=7)
    assert sorted([*train, *evaluation]) == list(range(100))
    assert len(evaluation) == 25


def test_the_split_depends_on_the_seed_alone() -> None:
    program = "from tui_tuner.data.splits import split_rows; print(split_rows(50, 0.2, 3)[1].tolist())"
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == str(split_rows(50, 0.2, 3)[1].tolist())
    assert split_rows(50, 0.2, 3)[1].tolist() != split_rows(50, 0.2, 4)[1].tolist()


def test_the_split_is_the_same_as_ever() -> None:
    assert split_rows(20, 0.2, 3407)[1].tolist() == [0, 4, 6, 16]


def test_weights_repeat_and_take_halves_in_turn() -> None:
    of_both = rows_of(*[0] * 4, *[1] * 4)
    first, second = (Counter(epoch_order(of_both, (2.0, 0.5), 1, epoch, shuffle=True).tolist()) for epoch in (0, 1))
    assert [first[row] for row in range(4)] == [2, 2, 2, 2]
    assert {row for row in first if row > 3} | {row for row in second if row > 3} == {4, 5, 6, 7}
    assert sum(first[row] for row in range(4, 8)) == 2


def test_each_epoch_has_an_order_of_its_own() -> None:
    rows = rows_of(*[0] * 30)
    orders = [epoch_order(rows, (1.0,), seed=1, epoch=epoch, shuffle=True).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == list(range(30))


def test_without_shuffling_rows_keep_their_order() -> None:
    assert epoch_order(rows_of(0, 0, 1), (1.0, 2.0), seed=1, epoch=5, shuffle=False).tolist() == [0, 1, 2, 2]


def test_bins_come_in_another_order_each_epoch() -> None:
    orders = [bin_order(20, seed=1, epoch=epoch, shuffle=True).tolist() for epoch in (0, 1, 0)]
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[1]) == bin_order(20, seed=1, epoch=1, shuffle=False).tolist() == list(range(20))
