"""A set of 64-bit hashes in 13 to 26 bytes each, where Python's own takes about 80."""

from array import array

import numpy as np

FEWEST_SLOTS = 2**10
MOST_FILLED = 0.6
EMPTY = 0


class HashSet:
    """Open addressing: each hash stands at its own slot, or in the next free one behind it."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * FEWEST_SLOTS))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, value: int) -> bool:
        return self._slots[self._place(value or 1)] != EMPTY

    def add(self, value: int) -> bool:
        """Whether it is new."""
        value = value or 1  # 0 marks what is empty; that 0 and 1 are taken for each other harms nobody
        place = self._place(value)
        if self._slots[place] != EMPTY:
            return False
        self._slots[place] = value
        self._count += 1
        if self._count > MOST_FILLED * len(self._slots):
            self._grow()
        return True

    def _place(self, value: int) -> int:
        """The slot that holds the value, or the one that it would get."""
        slots = self._slots
        last = len(slots) - 1
        place = value & last
        while slots[place] not in (EMPTY, value):
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        held = np.frombuffer(self._slots, dtype=np.uint64)
        values = held[held != EMPTY].tolist()
        del held
        self._slots = array("Q", bytes(16 * len(self._slots)))
        for value in values:
            self._slots[self._place(value)] = value
