"""What the passes over the data leave: every row on disk as it was and as it is trained, bad rows, and the report."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable

import numpy as np

from tui_tuner.data.audit.report import LabelReport, ReportBuilder
from tui_tuner.data.bad_rows import BadRows
from tui_tuner.data.checked_rows import CheckedRow, RowFlags
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.lengths.fitted_store import LEFT_OUT, FittedStore, fit_store
from tui_tuner.data.lengths.row_fitting import FittedRow
from tui_tuner.data.rows import BadRow
from tui_tuner.data.splits import IndexArray
from tui_tuner.data.store.example_store import ExampleStore, StoredExamples
from tui_tuner.data.tokenizer import IntArray
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSection

KEEP_STILL = "Start again when nothing writes to the data."


class LabelledRows:
    """Takes all rows in their order by `add`; where the max length is settled late, longer ones again by `refit`."""

    def __init__(self, data: DataSection, max_length: int | None) -> None:
        """Rows come fitted to `max_length`; None where it is settled by their lengths."""
        self._data = data
        self._store = ExampleStore()
        self._report = ReportBuilder(data.on_disagreement, data.on_bad_row)
        if max_length is not None:
            self._report.settle(max_length, data.over_length)
        self._rows, self._whole, self._kept = array("i"), array("i"), array("i")
        self._num_longer = 0
        """Those that have yet to come by `refit`."""
        self.unusable, self.disagreeing = BadRows(), BadRows()
        """Rows without labels, and those that `data.on_disagreement` drops."""

    def add(self, row: CheckedRow) -> None:
        """Keep a labelled row as the recipe says, and count it."""
        if row.example is None:
            self.unusable.add(BadRow(ref=row.ref, reason=row.refusal))
            self._report.add_refused(row.index, row.ref, row.findings[0])
            return
        is_evaluation = row.source >= len(self._data.sources)
        self._report.add(row.index, row.example, row.findings, is_evaluation)
        if row.disagreement is not None and self._data.on_disagreement == "drop":
            self._drop(row, row.disagreement)
            return
        number = self._store.append(row.example)
        self._rows.append(row.index)
        self._whole.append(number)
        self._kept.append(number if row.fitted is None else self._fitted(row, row.example, row.fitted))

    def settle(self, max_length: int) -> RowFlags | None:
        """Settle the max length; returns which rows, by their numbers, have to come by `refit`, None where none has."""
        self._report.settle(max_length, self._data.over_length)
        is_longer = (self._store.lengths() > max_length) & ~self._store.is_document()
        rows = np.array(self._rows, dtype=np.int64)[is_longer]
        self._num_longer = len(rows)
        if not rows.size:
            return None
        flags = np.zeros(int(rows[-1]) + 1, dtype=np.bool_)
        flags[rows] = True
        return flags

    def refit(self, rows: Iterable[CheckedRow]) -> None:
        """Take the longer rows again, now fitted.

        Raises:
            DataError: they are not those that were longer.
        """
        for row in rows:
            place = bisect_left(self._rows, row.index)
            whole = self._store.read(self._whole[place])
            if row.example is None or row.fitted is None or not np.array_equal(row.example.input_ids, whole.input_ids):
                raise DataError(f"{row.ref} is not what it was when it was read first.", KEEP_STILL)
            self._kept[place] = self._fitted(row, row.example, row.fitted)
            self._num_longer -= 1
        if self._num_longer:
            raise DataError(f"{self._num_longer:,} rows are gone since the data was read first.", KEEP_STILL)

    def lengths(self) -> IntArray:
        """Tokens of each row as it was."""
        return self._store.lengths()[self._numbers(self._whole)]

    def has_documents(self) -> bool:
        return bool(self._store.is_document().any())

    @property
    def num_bad(self) -> int:
        """Rows that are dropped, whatever their length."""
        return self.unusable.count + self.disagreeing.count

    def bad_rows(self) -> tuple[BadRow, ...]:
        """The first of them."""
        return (*self.unusable.first, *self.disagreeing.first)

    def whole(self) -> StoredExamples:
        """The rows as they were."""
        return StoredExamples(self._store, self._numbers(self._whole))

    def fitted(self, max_length: int) -> FittedStore:
        """The rows as they are trained. Comes last, once."""
        return fit_store(self._store, self._numbers(self._whole), self._numbers(self._kept), max_length)

    def report(self) -> LabelReport:
        return self._report.report()

    def _fitted(self, row: CheckedRow, whole: LabelledExample, fitted: FittedRow) -> int:
        """The number in the store of what is trained of a longer row."""
        self._report.add_fit(row.index, whole, fitted, was_compared=row.is_compared)
        if fitted.disagreement is not None and self._data.on_disagreement == "drop":
            self._drop(row, fitted.disagreement)
            return LEFT_OUT
        return LEFT_OUT if fitted.example is None else self._store.append(fitted.example)

    def _drop(self, row: CheckedRow, disagreement: str) -> None:
        self.disagreeing.add(BadRow(ref=row.ref, reason=f"the two methods disagree ({disagreement})"))

    def _numbers(self, numbers: "array[int]") -> IndexArray:
        return np.array(numbers, dtype=np.intp)
