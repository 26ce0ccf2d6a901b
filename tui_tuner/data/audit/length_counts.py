"""What a max length takes away from a data set: at some lengths if ends were cut off, at one by the policy in force."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.lengths.row_fitting import FittedRow
from tui_tuner.data.lengths.settling import OverLength


class ReportValue(BaseModel):
    """Immutable, and JSON-able without loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CutCount(ReportValue):
    """What a max length would take away if it cut off the ends of rows. Documents are split, and lose nothing."""

    max_length: int
    rows_cut: int
    """Rows that are longer."""
    answers_cut: int
    """Rows with trained tokens behind it."""
    rows_without_labels: int
    """Rows that keep no trained token."""
    trained_share_kept: float


class FitCount(ReportValue):
    """What the max length in force takes away, by the policy in force."""

    max_length: int
    over_length: str
    """What happens to longer rows: "keep_turns", "drop" or "cut"."""
    rows_shortened: int
    turns_dropped: int
    answers_cut: int
    """Rows of which an answer breaks off in its middle."""
    rows_left_out: int
    trained_share_kept: float


class BeyondLengths:
    """What stands behind some lengths in the rows that come here."""

    def __init__(self, limits: Sequence[int]) -> None:
        self._limits, self._shortest = np.array(limits, dtype=np.int64), min(limits)
        self._rows, self._answers, self._emptied, self._lost = np.zeros((4, len(limits)), dtype=np.int64)

    def add(self, example: LabelledExample) -> None:
        if example.num_tokens <= self._shortest:
            return
        places = np.flatnonzero(example.labels != NOT_TRAINED)
        places = places[places > 0]
        kept = np.searchsorted(places, self._limits)
        self._rows += example.num_tokens > self._limits
        self._answers += kept < len(places)
        self._emptied += (kept == 0) & (len(places) > 0)
        self._lost += len(places) - kept

    def counts(self, num_trained: int) -> list[CutCount]:
        """`num_trained` are the trained tokens of all rows, of those too that are too short to come here."""
        return [
            CutCount(
                max_length=limit,
                rows_cut=int(self._rows[index]),
                answers_cut=int(self._answers[index]),
                rows_without_labels=int(self._emptied[index]),
                trained_share_kept=1 - int(self._lost[index]) / max(1, num_trained),
            )
            for index, limit in enumerate(self._limits.tolist())
        ]


class FitCounter:
    """What becomes of the rows above the max length in force."""

    def __init__(self, max_length: int, over_length: OverLength) -> None:
        self.max_length = max_length
        self.beyond = BeyondLengths((max_length,))
        self._over_length = over_length
        self.rows_left_out = 0
        self._shortened = self._dropped = self._answers_cut = self._lost = 0

    def add(self, full: LabelledExample, fitted: FittedRow) -> None:
        self.beyond.add(full)
        kept = fitted.example
        self._lost += full.num_trained - (0 if kept is None else kept.num_trained)
        self._dropped += fitted.num_turns_dropped
        if kept is None:
            self.rows_left_out += 1
            return
        self._shortened += 1
        self._answers_cut += fitted.is_broken_off

    def count(self, num_trained: int) -> FitCount:
        return FitCount(
            max_length=self.max_length,
            over_length=self._over_length,
            rows_shortened=self._shortened,
            turns_dropped=self._dropped,
            answers_cut=self._answers_cut,
            rows_left_out=self.rows_left_out,
            trained_share_kept=1 - self._lost / max(1, num_trained),
        )
