"""Which rows are held out, and in which order rows are seen: decided by seeds alone, the same on every machine."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tui_tuner.data.tokenizer import IntArray

AUTO_FRACTION = 0.05
MOST_AUTO_ROWS = 200
FEWEST_ROWS_TO_SPLIT = 10
IndexArray = np.ndarray[tuple[int], np.dtype[np.intp]]


def num_held_out(num_rows: int, fraction: float | Literal["auto"]) -> int:
    """How many rows are held out; at least one stays for training."""
    if fraction == "auto":
        if num_rows < FEWEST_ROWS_TO_SPLIT:
            return 0
        return min(MOST_AUTO_ROWS, max(1, round(num_rows * AUTO_FRACTION)))
    if fraction == 0.0 or num_rows < 2:
        return 0
    return min(num_rows - 1, max(1, round(num_rows * fraction)))


def split_rows(num_rows: int, fraction: float | Literal["auto"], seed: int) -> tuple[IndexArray, IndexArray]:
    """Row numbers for training and for evaluation, each in the order of the data."""
    held_out = num_held_out(num_rows, fraction)
    drawn = _shuffled(num_rows, seed, 0)[:held_out]
    is_held_out = np.zeros(num_rows, dtype=bool)
    is_held_out[drawn] = True
    return np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)


def epoch_order(sources: IntArray, weights: Sequence[float], seed: int, epoch: int, shuffle: bool) -> IndexArray:
    """Indices of the examples of one epoch.

    `sources` has the data source of each example. `weights` has the weight of each source: at 2.0 each of its rows
    comes twice, at 0.5 half of them come, and the other half in the next epoch.
    """
    chosen = [
        _weighted(np.flatnonzero(sources == source), weight, seed, source, epoch)
        for source, weight in enumerate(weights)
    ]
    rows = np.sort(np.concatenate([np.empty(0, dtype=np.intp), *chosen]), kind="stable")
    return rows[_shuffled(len(rows), seed, 1, epoch)] if shuffle else rows


def bin_order(num_bins: int, seed: int, epoch: int, shuffle: bool) -> IndexArray:
    """The order in which an epoch sees packed bins."""
    return _shuffled(num_bins, seed, 2, epoch) if shuffle else np.arange(num_bins)


def _weighted(rows: IndexArray, weight: float, seed: int, source: int, epoch: int) -> IndexArray:
    """Whole repetitions, and for the rest a window that moves on through a fixed random order each epoch."""
    repetitions = int(weight)
    num_more = round((weight - repetitions) * len(rows))
    if num_more == 0 and repetitions == 0 and len(rows):
        num_more = 1
    order = _shuffled(len(rows), seed, 3, source)
    window = (epoch * num_more + np.arange(num_more)) % max(1, len(rows))
    return np.concatenate((np.repeat(rows, repetitions), rows[order[window]]))


def _shuffled(length: int, *seeds: int) -> IndexArray:
    """A permutation that depends on the seeds alone: raw PCG64 draws do not change between numpy releases."""
    draws = np.random.PCG64(list(seeds)).random_raw(length)
    return np.argsort(draws, kind="stable")
