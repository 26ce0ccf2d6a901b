"""Packing of examples into bins."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.data.packing import pack


@given(st.lists(st.integers(1, 20), max_size=60))
def test_every_example_is_in_one_bin_and_no_bin_overflows(lengths: list[int]) -> None:
    bins = [*pack(lengths, 20)]
    assert sorted(number for one in bins for number in one) == list(range(len(lengths)))
    assert all(sum(lengths[number] for number in one) <= 20 for one in bins)


def test_the_fullest_bin_that_fits_is_taken() -> None:
    assert [*pack([6, 7, 3, 4], 10)] == [(1, 2), (0, 3)]


def test_bins_are_renumbered_and_put_in_order_as_a_whole() -> None:
    bins = pack([6, 7, 3, 4, 9], 10)
    assert [*bins] == [(4,), (1, 2), (0, 3)]
    moved = bins.renumbered(np.array([50, 51, 52, 53, 54])).at(np.array([2, 0, 1]))
    assert [*moved] == [(50, 53), (54,), (51, 52)]
    assert moved[1:] == ((54,), (51, 52))


def test_totals_are_sums_of_each_bin() -> None:
    lengths = np.array([5, 3, 4, 2, 6], dtype=np.int32)
    bins = pack(lengths, 8)
    assert bins.totals(lengths).tolist() == [sum(int(lengths[number]) for number in one) for one in bins]


def test_many_short_rows_leave_little_padding_and_take_little_time() -> None:
    lengths = (np.random.PCG64(1).random_raw(100_000) % 700 + 20).tolist()
    began = time.thread_time()
    bins = pack(lengths, 2048)
    assert time.thread_time() - began < 5
    assert sum(lengths) / (len(bins) * 2048) > 0.99


def test_an_example_longer_than_a_bin_is_a_bug() -> None:
    with pytest.raises(ValueError, match="example 1 has 11 tokens"):
        pack([10, 11], 10)
