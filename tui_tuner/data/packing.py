"""Packing of examples into sequences of bounded length: best fit, longest first. A few bytes for each example."""

from array import array
from collections.abc import Sequence
from typing import overload

import numpy as np

from tui_tuner.data.splits import IndexArray
from tui_tuner.data.tokenizer import IntArray

EXAMPLES_AT_ONCE = 2**12


class Bins(Sequence[tuple[int, ...]]):
    """Numbers of examples, grouped. A group is a tuple only while somebody looks at it."""

    def __init__(self, numbers: IndexArray, borders: IndexArray) -> None:
        """Bin i holds `numbers[borders[i] : borders[i + 1]]`."""
        self._numbers = numbers
        self._borders = borders

    @classmethod
    def of_one(cls, numbers: IndexArray) -> "Bins":
        """Each example in a bin of its own."""
        return cls(numbers, np.arange(len(numbers) + 1))

    def renumbered(self, numbers: IndexArray) -> "Bins":
        """The same bins, with `numbers[n]` in the place of n."""
        return Bins(numbers[self._numbers], self._borders)

    def at(self, order: IndexArray) -> "Bins":
        """The bins in another order."""
        sizes = np.diff(self._borders)[order]
        borders = np.concatenate(([0], np.cumsum(sizes)))
        # For each place of the new numbers: how far its bin has moved.
        moved = np.repeat(self._borders[order] - borders[:-1], sizes)
        return Bins(self._numbers[np.arange(len(moved)) + moved], borders)

    def totals(self, sizes: IntArray) -> IntArray:
        """Of each bin, the sum of the sizes of its examples; `sizes[n]` is that of example n."""
        return np.asarray(np.add.reduceat(sizes[self._numbers], self._borders[:-1]))

    def __len__(self) -> int:
        return len(self._borders) - 1

    @overload
    def __getitem__(self, index: int) -> tuple[int, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, ...], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(len(self))))
        place = range(len(self))[index]
        return tuple(self._numbers[self._borders[place] : self._borders[place + 1]].tolist())


def pack(lengths: Sequence[int] | IntArray, capacity: int) -> Bins:
    """Put each example into the fullest bin that still takes it; equal input gives equal bins.

    Every example comes once. A bin holds the numbers of its examples in rising order.

    Raises:
        ValueError: an example is longer than a bin.
    """
    sizes = np.asarray(lengths, dtype=np.int32)
    if sizes.size and sizes.max() > capacity:
        number = int(np.argmax(sizes > capacity))
        raise ValueError(f"example {number} has {sizes[number]} tokens, more than the {capacity} of a bin")
    bin_of, num_bins = _best_fit(sizes, capacity)
    borders = np.concatenate(([0], np.cumsum(np.bincount(bin_of, minlength=num_bins))))
    return Bins(np.argsort(bin_of, kind="stable"), borders)


def _best_fit(sizes: IntArray, capacity: int) -> tuple[IntArray, int]:
    """The bin of each example, and how many there are."""
    longest_first = np.argsort(-sizes, kind="stable")
    bin_of = np.empty(len(sizes), dtype=np.int32)
    with_space = [array("i") for _ in range(capacity + 1)]
    spaces = num_bins = 0  # Bit s is set where a bin has s tokens free: the fullest fitting bin is one shift away.
    for start in range(0, len(sizes), EXAMPLES_AT_ONCE):
        numbers = longest_first[start : start + EXAMPLES_AT_ONCE]
        chosen = []
        for length in sizes[numbers].tolist():
            fitting = spaces >> length
            if fitting:
                space = length + (fitting & -fitting).bit_length() - 1
                index = with_space[space].pop()
                if not with_space[space]:
                    spaces ^= 1 << space
            else:
                space, index = capacity, num_bins
                num_bins += 1
            chosen.append(index)
            left = space - length
            if left:
                with_space[left].append(index)
                spaces |= 1 << left
        bin_of[numbers] = chosen
    return bin_of, num_bins
