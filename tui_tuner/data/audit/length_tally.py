"""How many rows there are of each length. Takes memory for the lengths that occur, not for the rows."""

import math
from collections import Counter

import numpy as np

from tui_tuner.data.audit.length_counts import ReportValue

FIRST_BIN = 64


class LengthBin(ReportValue):
    """Rows of `low` to `high` tokens, both included."""

    low: int
    high: int
    num_rows: int


class LengthTally:
    """Hears the length of each row in tokens."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.num_rows = 0
        self.num_tokens = 0
        self.longest = 0

    def add(self, length: int) -> None:
        self._counts[length] += 1
        self.num_rows += 1
        self.num_tokens += length
        self.longest = max(self.longest, length)

    def percentile(self, percent: int) -> int:
        """The shortest length of a row that at least so many per cent of the rows keep to; 0 without rows.

        As numpy has it with the method "higher".
        """
        if not self.num_rows:
            return 0
        place = math.ceil((self.num_rows - 1) * (percent / 100))
        lengths = sorted(self._counts)
        up_to = np.cumsum([self._counts[length] for length in lengths])
        return lengths[int(np.searchsorted(up_to, place, side="right"))]

    def histogram(self) -> tuple[LengthBin, ...]:
        """Bins that double: 1-64, 65-128, 129-256 and so on up to the longest row."""
        bins = []
        low, high = 1, FIRST_BIN
        while low <= self.longest:
            count = sum(number for length, number in self._counts.items() if low <= length <= high)
            bins.append(LengthBin(low=low, high=high, num_rows=count))
            low, high = high + 1, high * 2
        return tuple(bins)
