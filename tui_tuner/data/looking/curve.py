"""What any max length would take from the rows, told from counts that a single pass leaves behind. Exact, and quick."""

from dataclasses import dataclass

import numpy as np

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.tokenizer import IntArray

CountArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


class CurveTally:
    """Counts trained tokens by their place in conversations. Documents are split at any length, and lose nothing."""

    def __init__(self) -> None:
        self._counts: CountArray = np.zeros((2, 1024), dtype=np.int64)
        self._longest = 0

    def add(self, example: LabelledExample) -> None:
        if example.kind == "document":
            return
        self._longest = max(self._longest, example.num_tokens)
        while self._counts.shape[1] < self._longest:
            self._counts = np.concatenate((self._counts, np.zeros_like(self._counts)), axis=1)
        is_trained = example.labels != NOT_TRAINED
        # The first token of a sequence is never predicted.
        self._counts[0, 1 : len(is_trained)] += is_trained[1:]
        self._counts[1, 1 : len(is_trained)] += is_trained[1:] & is_trained[:-1]

    def counts(self) -> CountArray:
        """For each place in a row, the rows that train the token there, and those that train the one before it too."""
        return self._counts[:, : self._longest]


@dataclass(frozen=True, slots=True, kw_only=True)
class AtLength:
    """What one max length takes by one policy."""

    max_length: int
    over_length: OverLength
    num_rows: int
    """All rows that have labels."""
    rows_longer: int
    """Conversations that are longer."""
    rows_left_out: int | None
    """None where only rendering can tell: rows that are to lose turns."""
    answers_cut: int
    """Rows of which an answer breaks off in its middle."""
    share_kept: float
    """Of the trained tokens."""
    is_least: bool = False
    """Whether more may be kept than `share_kept`: rows that lose turns keep their last ones."""


class LengthCurve:
    """Answers `at` for any max length in microseconds."""

    def __init__(self, lengths: IntArray, trained: IntArray, first: IntArray, counts: CountArray, others: int) -> None:
        """`lengths`, `trained` and `first` trained place are those of conversations; `counts` are a tally's.

        `others` are the trained tokens of documents.
        """
        order = np.argsort(lengths, kind="stable")
        self._lengths = lengths[order]
        self._trained = np.concatenate(([0], np.cumsum(trained[order], dtype=np.int64)))
        self._first = np.sort(first[first > 0])
        self._behind = np.concatenate((np.cumsum(counts[0][::-1])[::-1], [0])) if counts.size else np.zeros(1, np.int64)
        self._crossing = counts[1] if counts.size else np.zeros(0, np.int64)
        self._num_trained = int(self._trained[-1]) + others
        self.longest = int(self._lengths[-1]) if len(lengths) else 0

    def at(self, max_length: int, over_length: OverLength, num_rows: int) -> AtLength:
        shorter = int(np.searchsorted(self._lengths, max_length, side="right"))
        rows_longer = len(self._lengths) - shorter
        if over_length == "cut":
            lost = int(self._behind[min(max_length, len(self._behind) - 1)])
            answers = int(self._crossing[max_length]) if max_length < len(self._crossing) else 0
            left_out: int | None = len(self._first) - int(np.searchsorted(self._first, max_length))
        else:
            lost = int(self._trained[-1] - self._trained[shorter])
            answers, left_out = 0, rows_longer if over_length == "drop" else None
        return AtLength(
            max_length=max_length,
            over_length=over_length,
            num_rows=num_rows,
            rows_longer=rows_longer,
            rows_left_out=left_out,
            answers_cut=answers,
            share_kept=1 - lost / max(1, self._num_trained),
            is_least=over_length == "keep_turns" and lost > 0,
        )
