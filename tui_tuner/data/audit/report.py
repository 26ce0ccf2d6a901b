"""The report of a whole data set's labels, folded from the results of its rows one at a time.

Of each row only counts and 8-byte hashes are kept, so that memory does not grow with the length of rows.
"""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import RowRef
from tui_tuner.data.store.hash_set import HashSet

FIRST_ROWS = 20
"""Rows that a check names, so that a person can open them."""
OTHER_LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
OnDisagreement = Literal["refuse", "drop", "keep"]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckCount(_Value):
    """How many rows a check has found, and the first of them."""

    check: str
    title: str
    help: str
    severity: str
    num_rows: int
    first_rows: tuple[int, ...]
    """Numbers of rows from 0."""
    first_refs: tuple[str, ...]
    first_detail: str


class LengthBin(_Value):
    """Rows of `low` to `high` tokens, both included."""

    low: int
    high: int
    num_rows: int


class CutCount(_Value):
    """What a max length would take away."""

    max_length: int
    rows_cut: int
    answers_cut: int
    """Rows that lose trained tokens."""
    rows_without_labels: int
    """Rows that keep no trained token."""
    trained_share_kept: float


class LabelReport(_Value):
    """All numbers of the labels of one data set."""

    num_rows: int
    num_refused: int
    """Rows that became no labels at all."""
    num_tokens: int
    num_trained: int
    trained_share: float
    length_p50: int
    length_p90: int
    length_p99: int
    longest: int
    histogram: tuple[LengthBin, ...]
    max_length: int | None
    cuts: tuple[CutCount, ...]
    """At the current max length first, where there is one, then at others."""
    duplicates: int
    leaks: int
    num_compared: int
    """Rows to which both methods apply."""
    num_agreeing: int
    not_applicable: Mapping[str, int]
    """Why the second method says nothing, with numbers of rows."""
    checks: tuple[CheckCount, ...]
    refuses: bool
    reasons: tuple[str, ...]
    """Why training would refuse."""

    @property
    def agreement(self) -> float:
        return self.num_agreeing / self.num_compared if self.num_compared else 0.0


class ReportBuilder:
    """Folds rows into a report. Rows come in their order; `row` is a row's number from 0."""

    def __init__(
        self,
        max_length: int | None = None,
        on_disagreement: OnDisagreement = "refuse",
        on_bad_row: Literal["refuse", "drop"] = "refuse",
    ) -> None:
        self._max_length = max_length
        self._on_disagreement = on_disagreement
        self._on_bad_row = on_bad_row
        self._lengths, self._trained = array("i"), array("i")
        own = () if max_length is None else (max_length,)
        self._limits = np.array([*own, *(one for one in OTHER_LENGTHS if one != max_length)], dtype=np.int64)
        self._kept = np.zeros(len(self._limits), dtype=np.int64)
        self._answers_cut = np.zeros(len(self._limits), dtype=np.int64)
        self._emptied = np.zeros(len(self._limits), dtype=np.int64)
        self._train_hashes, self._evaluation_hashes = HashSet(), HashSet()
        self._late_leaks: list[tuple[int, int, RowRef]] = []
        self._counts: dict[str, list[tuple[int, RowRef, str]]] = {}
        self._totals: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._not_applicable: dict[str, int] = {}
        self._num_refused = 0
        self._num_compared = self._num_agreeing = 0

    def add(
        self, row: int, example: LabelledExample, findings: Sequence[Finding], is_evaluation: bool = False
    ) -> tuple[Finding, ...]:
        """Count a labelled row; returns its findings with those that only the whole data set shows."""
        self._lengths.append(example.num_tokens)
        self._trained.append(example.num_trained)
        self._measure(example)
        everything = (*findings, *self._copies(row, example, is_evaluation))
        self._count(row, example.ref, everything)
        checks = {one.check for one in everything}
        if "unconfirmed" in checks:
            reason = next(one.detail for one in everything if one.check == "unconfirmed")
            self._not_applicable[reason] = self._not_applicable.get(reason, 0) + 1
        elif example.kind == "conversation":
            self._num_compared += 1
            self._num_agreeing += "disagreement" not in checks
        return everything

    def add_refused(self, row: int, ref: RowRef, finding: Finding) -> None:
        """Count a row that could not be labelled."""
        self._num_refused += 1
        self._refused[finding.check] = self._refused.get(finding.check, 0) + 1
        self._count(row, ref, (finding,))

    def report(self) -> LabelReport:
        """The report of all rows so far."""
        for digest, row, ref in self._late_leaks:
            if digest in self._train_hashes:
                self._count(row, ref, (Finding("leak", "the same tokens are in the training data"),))
        self._late_leaks = []
        lengths = np.array(self._lengths or [0], dtype=np.int64)
        num_tokens, num_trained = int(lengths.sum()), sum(self._trained)
        reasons = tuple(self._reasons())
        return LabelReport(
            num_rows=len(self._lengths) + self._num_refused,
            num_refused=self._num_refused,
            num_tokens=num_tokens,
            num_trained=num_trained,
            trained_share=num_trained / max(1, num_tokens),
            length_p50=_percentile(lengths, 50),
            length_p90=_percentile(lengths, 90),
            length_p99=_percentile(lengths, 99),
            longest=int(lengths.max()),
            histogram=_histogram(self._lengths),
            max_length=self._max_length,
            cuts=tuple(self._cuts(lengths, num_trained)),
            duplicates=self._totals.get("duplicate", 0),
            leaks=self._totals.get("leak", 0),
            num_compared=self._num_compared,
            num_agreeing=self._num_agreeing,
            not_applicable=dict(self._not_applicable),
            checks=tuple(self._check_count(name) for name in CHECKS if name in self._totals),
            refuses=bool(reasons),
            reasons=reasons,
        )

    def _measure(self, example: LabelledExample) -> None:
        """What each max length would leave of the row, if its tail were cut."""
        places = np.flatnonzero(example.labels != NOT_TRAINED)
        places = places[places > 0]
        kept = np.searchsorted(places, self._limits)
        self._kept += kept
        self._answers_cut += kept < len(places)
        self._emptied += (kept == 0) & (len(places) > 0)

    def _copies(self, row: int, example: LabelledExample, is_evaluation: bool) -> tuple[Finding, ...]:
        digest = int.from_bytes(row_hash(example), "little")
        if not is_evaluation:
            is_copy = not self._train_hashes.add(digest)
            return (Finding("duplicate", "the same tokens have come before"),) if is_copy else ()
        is_copy = not self._evaluation_hashes.add(digest)
        copies = (Finding("duplicate", "the same tokens have come before"),) if is_copy else ()
        if digest in self._train_hashes:
            return (*copies, Finding("leak", "the same tokens are in the training data"))
        self._late_leaks.append((digest, row, example.ref))
        return copies

    def _count(self, row: int, ref: RowRef, findings: Sequence[Finding]) -> None:
        """Each check counts a row once."""
        for finding in {one.check: one for one in reversed(findings)}.values():
            self._totals[finding.check] = self._totals.get(finding.check, 0) + 1
            first = self._counts.setdefault(finding.check, [])
            if len(first) < FIRST_ROWS:
                where = "" if finding.message is None else f"turn {finding.message + 1}: "
                first.append((row, ref, where + finding.detail))

    def _check_count(self, name: str) -> CheckCount:
        info, first = CHECKS[name], self._counts[name]
        return CheckCount(
            check=name,
            title=info.title,
            help=info.help,
            severity=info.severity,
            num_rows=self._totals[name],
            first_rows=tuple(row for row, _, _ in first),
            first_refs=tuple(str(ref) for _, ref, _ in first),
            first_detail=first[0][2],
        )

    def _reasons(self) -> list[str]:
        reasons = []
        for name, info in CHECKS.items():
            count = self._totals.get(name, 0)
            if self._on_bad_row == "drop":
                count -= self._refused.get(name, 0)
            if not count or info.severity != "blocking":
                continue
            if name == "disagreement" and self._on_disagreement != "refuse":
                continue
            reasons.append(f"{info.title}: {count:,} {'row' if count == 1 else 'rows'}")
        if not self._lengths:
            reasons.append("No row has labels")
        return reasons

    def _cuts(self, lengths: np.ndarray[tuple[int], np.dtype[np.int64]], num_trained: int) -> list[CutCount]:
        return [
            CutCount(
                max_length=limit,
                rows_cut=int(np.count_nonzero(lengths > limit)),
                answers_cut=int(self._answers_cut[index]),
                rows_without_labels=int(self._emptied[index]),
                trained_share_kept=int(self._kept[index]) / max(1, num_trained),
            )
            for index, limit in enumerate(self._limits.tolist())
        ]


def row_hash(example: LabelledExample) -> bytes:
    """8 bytes over a row's tokens: equal for equal tokens, whatever is trained of them."""
    return hashlib.blake2b(np.ascontiguousarray(example.input_ids, dtype="<i4").tobytes(), digest_size=8).digest()


def _percentile(lengths: np.ndarray[tuple[int], np.dtype[np.int64]], percent: int) -> int:
    return int(np.percentile(lengths, percent, method="higher"))


def _histogram(lengths: Sequence[int]) -> tuple[LengthBin, ...]:
    """Bins that double: 1-64, 65-128, 129-256 and so on up to the longest row."""
    if not lengths:
        return ()
    bins = []
    low, high = 1, 64
    array = np.asarray(lengths)
    while low <= int(array.max()):
        bins.append(LengthBin(low=low, high=high, num_rows=int(np.count_nonzero((array >= low) & (array <= high)))))
        low, high = high + 1, high * 2
    return tuple(bins)
