"""Packing of examples into sequences of bounded length: best fit, longest first."""

from collections.abc import Sequence

import numpy as np


def pack(lengths: Sequence[int], capacity: int) -> tuple[tuple[int, ...], ...]:
    """Put each example into the fullest bin that still takes it; equal input gives equal bins.

    Returns the numbers of the examples in each bin, every example once, in no order that matters.

    Raises:
        ValueError: an example is longer than a bin.
    """
    longest_first = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable")
    bins: list[list[int]] = []
    with_space: list[list[int]] = [[] for _ in range(capacity + 1)]
    spaces = 0  # Bit s is set where a bin has s tokens free: the fullest fitting bin is one shift and one mask away.
    for number in longest_first.tolist():
        length = lengths[number]
        if length > capacity:
            raise ValueError(f"example {number} has {length} tokens, more than the {capacity} of a bin")
        fitting = spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            index = with_space[space].pop()
            if not with_space[space]:
                spaces ^= 1 << space
        else:
            space, index = capacity, len(bins)
            bins.append([])
        bins[index].append(number)
        left = space - length
        if left:
            with_space[left].append(index)
            spaces |= 1 << left
    return tuple(tuple(sorted(one)) for one in bins)
