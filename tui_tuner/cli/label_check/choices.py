"""Which rows of an audit are shown. One pass, and only what is shown is kept in memory."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tui_tuner.data.audit.findings import CHECKS, Severity
from tui_tuner.data.label_audit import AuditedRow
from tui_tuner.errors import TunerError

ANY = "any"
GRAVITY: tuple[Severity, ...] = ("blocking", "warning", "note")


@dataclass(frozen=True, slots=True)
class NumberedRow:
    """The row with this number."""

    row: int

    def of(self, rows: Iterator[AuditedRow]) -> Sequence[AuditedRow]:
        """Raises TunerError where the data ends before it."""
        last = -1
        for row in rows:
            if row.index == self.row:
                return [row]
            last = row.index
        raise TunerError(f"There is no row {self.row}: the data has rows 0 to {last}.", "Rows are counted from 0.")


@dataclass(frozen=True, slots=True)
class NextRow:
    """The first row after one in which a check found something."""

    check: str
    after: int

    def of(self, rows: Iterator[AuditedRow]) -> Sequence[AuditedRow]:
        return [*islice((row for row in rows if row.index > self.after and has_finding(row, self.check)), 1)]


@dataclass(frozen=True, slots=True)
class WorstRows:
    """The rows with the gravest findings, gravest first."""

    limit: int

    def of(self, rows: Iterator[AuditedRow]) -> Sequence[AuditedRow]:
        return heapq.nsmallest(self.limit, (row for row in rows if row.findings), key=_gravity)


@dataclass(frozen=True, slots=True)
class ExampleRows:
    """The first row that trains something, and the gravest one where a check warns of it."""

    def of(self, rows: Iterator[AuditedRow]) -> Sequence[AuditedRow]:
        first = gravest = None
        for row in rows:
            if first is None and row.kind != "unusable":
                first = row
            if gravest is None or _gravity(row) < _gravity(gravest):
                gravest = row
        is_grave = gravest is not None and _gravity(gravest)[:2] < (0, 0)
        return [row for row in (first, gravest if is_grave and gravest is not first else None) if row is not None]


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """The first rows in which a check found something. All rows are looked at."""

    check: str
    limit: int

    def of(self, rows: Iterator[AuditedRow]) -> Sequence[AuditedRow]:
        found = (row for row in rows if has_finding(row, self.check))
        kept = [*islice(found, self.limit)]
        # The rest is walked through for the report.
        for _ in found:
            pass
        return kept


Choice = NumberedRow | NextRow | WorstRows | ExampleRows | CheckedRows


def known_check(name: str) -> str:
    """Raises TunerError for a check that there is not."""
    if name != ANY and name not in CHECKS:
        raise TunerError(f"There is no check {name!r}.", f"Checks are {', '.join(CHECKS)}, and {ANY}.")
    return name


def has_finding(row: AuditedRow, check: str) -> bool:
    return any(check in (ANY, finding.check) for finding in row.findings)


def _gravity(row: AuditedRow) -> tuple[int, int, int]:
    """Smaller is graver."""
    severities = [CHECKS[finding.check].severity for finding in row.findings]
    blocking, warning, note = (-severities.count(severity) for severity in GRAVITY)
    return blocking, warning, note
