"""Rows with the same tokens: duplicates, and held-out rows that are trained on. Of each row only numbers are kept."""

import hashlib
from array import array
from collections.abc import Iterator

import numpy as np

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.rows import RowRef
from tui_tuner.data.store.hash_set import HashSet

DUPLICATE = Finding("duplicate", "the same tokens have come before")
LEAK = Finding("leak", "the same tokens are in the training data")


class CopyFinder:
    """Hears of every row once."""

    def __init__(self) -> None:
        self._trained, self._held_out = HashSet(), HashSet()
        self._waiting = _HashedRows()
        """Held-out rows of which no copy has been trained on yet."""

    def add(self, row: int, example: LabelledExample, is_evaluation: bool) -> tuple[Finding, ...]:
        """What the rows so far say of this one, which has the number `row`."""
        digest = int.from_bytes(row_hash(example), "little")
        if not is_evaluation:
            return () if self._trained.add(digest) else (DUPLICATE,)
        copies = () if self._held_out.add(digest) else (DUPLICATE,)
        if digest in self._trained:
            return (*copies, LEAK)
        self._waiting.append(digest, row, example.ref)
        return copies

    def late_leaks(self) -> Iterator[tuple[int, RowRef]]:
        """Numbers and places of held-out rows whose copy was trained on after them; each is told once."""
        waiting, self._waiting = self._waiting, _HashedRows()
        for digest, row, ref in waiting:
            if digest in self._trained:
                yield row, ref
            else:
                self._waiting.append(digest, row, ref)


class _HashedRows:
    """Rows in 28 bytes each."""

    def __init__(self) -> None:
        self._digests, self._rows, self._lines = array("Q"), array("q"), array("q")
        self._path_numbers = array("i")
        self._paths: dict[str, int] = {}

    def append(self, digest: int, row: int, ref: RowRef) -> None:
        self._digests.append(digest)
        self._rows.append(row)
        self._lines.append(ref.line)
        self._path_numbers.append(self._paths.setdefault(ref.path, len(self._paths)))

    def __iter__(self) -> Iterator[tuple[int, int, RowRef]]:
        paths = list(self._paths)
        for digest, row, line, path in zip(self._digests, self._rows, self._lines, self._path_numbers, strict=True):
            yield digest, row, RowRef(paths[path], line)


def row_hash(example: LabelledExample) -> bytes:
    """8 bytes over a row's tokens: equal for equal tokens, whatever is trained of them."""
    return hashlib.blake2b(np.ascontiguousarray(example.input_ids, dtype="<i4").tobytes(), digest_size=8).digest()
