"""The report of a whole data set's labels, folded from the results of its rows one at a time.

Of each row only counts and 8-byte hashes are kept, so that memory does not grow with the length of rows.
"""

from collections.abc import Iterator, Mapping, Sequence

from tui_tuner.data.audit.copies import LEAK, CopyFinder
from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.audit.length_counts import BeyondLengths, CutCount, FitCount, FitCounter, ReportValue
from tui_tuner.data.audit.length_tally import LengthBin, LengthTally
from tui_tuner.data.audit.refusing import OnBadRow, OnDisagreement, Verdict
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.lengths.row_fitting import FittedRow
from tui_tuner.data.lengths.settling import OverLength
from tui_tuner.data.rows import RowRef

FIRST_ROWS = 20
"""Rows that a check names, so that a person can open them."""
OTHER_LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


class CheckCount(ReportValue):
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


class LabelReport(ReportValue):
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
    fit: FitCount | None
    """None where no max length is in force."""
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

    def __init__(self, on_disagreement: OnDisagreement = "refuse", on_bad_row: OnBadRow = "refuse") -> None:
        self._on_disagreement = on_disagreement
        self._on_bad_row = on_bad_row
        self._lengths, self._copies = LengthTally(), CopyFinder()
        self._num_trained = 0
        self._beyond = BeyondLengths(OTHER_LENGTHS)
        self._fit: FitCounter | None = None
        self._counts: dict[str, list[tuple[int, RowRef, str]]] = {}
        self._totals: dict[str, int] = {}
        self._refused: dict[str, int] = {}
        self._not_applicable: dict[str, int] = {}
        self._num_refused = 0
        self._num_compared = self._num_agreeing = 0

    def settle(self, max_length: int, over_length: OverLength) -> None:
        """Say what max length is in force; each longer row has to come by `add_fit`, before or after other rows."""
        self._fit = FitCounter(max_length, over_length)

    def add(
        self, row: int, example: LabelledExample, findings: Sequence[Finding], is_evaluation: bool = False
    ) -> tuple[Finding, ...]:
        """Count a labelled row; returns its findings with those that only the whole data set shows."""
        self._lengths.add(example.num_tokens)
        self._num_trained += example.num_trained
        if example.kind != "document":
            self._beyond.add(example)
        everything = (*findings, *self._copies.add(row, example, is_evaluation))
        self._count(row, example.ref, everything)
        checks = {one.check for one in everything}
        if "unconfirmed" in checks:
            reason = next(one.detail for one in everything if one.check == "unconfirmed")
            self._not_applicable[reason] = self._not_applicable.get(reason, 0) + 1
        elif example.kind == "conversation":
            self._num_compared += 1
            self._num_agreeing += "disagreement" not in checks
        return everything

    def add_fit(self, row: int, full: LabelledExample, fitted: FittedRow, *, was_compared: bool = True) -> None:
        """Count what becomes of a row, added before, that is longer than the max length in force.

        `was_compared` says whether both methods applied to the whole row.
        """
        if self._fit is None:
            raise TypeError("rows are fitted to a max length that is not settled")
        self._fit.add(full, fitted)
        self._count(row, full.ref, fitted.findings)
        self._num_agreeing -= was_compared and fitted.disagreement is not None

    def add_refused(self, row: int, ref: RowRef, finding: Finding) -> None:
        """Count a row that could not be labelled."""
        self._num_refused += 1
        self._refused[finding.check] = self._refused.get(finding.check, 0) + 1
        self._count(row, ref, (finding,))

    def report(self) -> LabelReport:
        """The report of all rows so far."""
        for row, ref in self._copies.late_leaks():
            self._count(row, ref, (LEAK,))
        lengths, num_trained = self._lengths, self._num_trained
        reasons = tuple(self._reasons())
        return LabelReport(
            num_rows=lengths.num_rows + self._num_refused,
            num_refused=self._num_refused,
            num_tokens=lengths.num_tokens,
            num_trained=num_trained,
            trained_share=num_trained / max(1, lengths.num_tokens),
            length_p50=lengths.percentile(50),
            length_p90=lengths.percentile(90),
            length_p99=lengths.percentile(99),
            longest=lengths.longest,
            histogram=lengths.histogram(),
            max_length=None if self._fit is None else self._fit.max_length,
            cuts=tuple(self._cuts(num_trained)),
            fit=None if self._fit is None else self._fit.count(num_trained),
            duplicates=self._totals.get("duplicate", 0),
            leaks=self._totals.get("leak", 0),
            num_compared=self._num_compared,
            num_agreeing=self._num_agreeing,
            not_applicable=dict(self._not_applicable),
            checks=tuple(self._check_count(name) for name in CHECKS if name in self._totals),
            refuses=bool(reasons),
            reasons=reasons,
        )

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

    def _reasons(self) -> Iterator[str]:
        left_out = None if self._fit is None else (self._fit.rows_left_out, self._fit.max_length)
        return Verdict(
            totals=self._totals,
            refused=self._refused,
            num_labelled=self._lengths.num_rows,
            left_out=left_out,
            on_disagreement=self._on_disagreement,
            on_bad_row=self._on_bad_row,
        ).reasons()

    def _cuts(self, num_trained: int) -> list[CutCount]:
        own = [] if self._fit is None else self._fit.beyond.counts(num_trained)
        others = self._beyond.counts(num_trained)
        return [*own, *(one for one in others if one.max_length not in {known.max_length for known in own})]
