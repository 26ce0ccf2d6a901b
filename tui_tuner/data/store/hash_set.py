"""A set of 64-bit hashes in 13 to 26 bytes each, where Python's own takes about 80."""

from array import array

import numpy as np

FEWEST_SLOTS = 2**10
MOST_FILLED = 0.6
EMPTY = 0
MOVED_AT_ONCE = 2**14
Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


class HashSet:
    """Open addressing: each hash stands at its own slot, or in the next free one behind it."""

    def __init__(self) -> None:
        self._slots = array("Q", (EMPTY,)) * FEWEST_SLOTS
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
        values = held[held != EMPTY]
        del held
        num_slots = 2 * len(self._slots)
        self._slots = array("Q")  # what is held twice while this grows are the values alone
        self._slots = array("Q", (EMPTY,)) * num_slots
        slots = np.frombuffer(self._slots, dtype=np.uint64)
        for start in range(0, len(values), MOVED_AT_ONCE):
            _fill(slots, values[start : start + MOVED_AT_ONCE])


def _fill(slots: Hashes, values: Hashes) -> None:
    """Put in all values: each goes on to the next slot for as long as another one has taken its place."""
    last = np.uint64(len(slots) - 1)
    places = values & last
    while values.size:
        is_free = slots[places] == EMPTY
        slots[places[is_free]] = values[is_free]  # of several for one slot the last stays
        is_left = slots[places] != values
        values, places = values[is_left], (places[is_left] + np.uint64(1)) & last
