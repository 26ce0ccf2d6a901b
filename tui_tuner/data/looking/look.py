"""A look as its reader has it: whatever is written of it by now. Making one takes time in proportion to the rows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tui_tuner.data.audit.findings import CHECKS, Finding
from tui_tuner.data.looking.curve import LengthCurve
from tui_tuner.data.looking.files import (
    CHECK_NAMES,
    CURVE_NAME,
    DETAILS_NAME,
    FINDINGS_NAME,
    FIT,
    FITS_NAME,
    FOUND,
    KINDS,
    ROW,
    ROWS_NAME,
    TOKEN,
    TOKENS_NAME,
    TRAINED_NAME,
    UNUSABLE,
    LookState,
    mapped,
    read_state,
)
from tui_tuner.data.rows import RowRef
from tui_tuner.data.store.example_store import FlagArray
from tui_tuner.data.tokenizer import IntArray

Records = np.ndarray[tuple[int], np.dtype[np.void]]
RowNumbers = np.ndarray[tuple[int], np.dtype[np.int64]]
SEVERITIES = {"note": 1, "warning": 2, "blocking": 3}
_SEVERITY_OF_CHECK = np.array([SEVERITIES[CHECKS[name].severity] for name in CHECK_NAMES], dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenRow:
    """The tokens of one row, and which of them are trained."""

    ids: IntArray
    is_trained: FlagArray


class Findings:
    """The findings of a folder, by row and by check."""

    def __init__(self, folder: Path, num_rows: int) -> None:
        self._folder = folder
        records = mapped(folder / FINDINGS_NAME, FOUND)
        records = records[records["row"] < num_rows]
        self._records = records[np.argsort(records["row"], kind="stable")]
        self.rows: RowNumbers = np.ascontiguousarray(self._records["row"])
        self.checks = np.ascontiguousarray(self._records["check"])

    def of(self, row: int) -> list[Finding]:
        """Those of one row."""
        first, last = np.searchsorted(self.rows, (row, row + 1))
        if first == last:
            return []
        with (self._folder / DETAILS_NAME).open("rb") as details:
            return [self._finding(record, details.fileno()) for record in self._records[first:last]]

    def rows_of(self, check: str) -> RowNumbers:
        return np.unique(self.rows[self.checks == CHECK_NAMES.index(check)])

    def totals(self) -> dict[str, int]:
        """Rows of each check that found something; a check counts a row once."""
        pairs = np.unique(self.rows * len(CHECK_NAMES) + self.checks)
        counts = np.bincount(pairs % len(CHECK_NAMES), minlength=len(CHECK_NAMES))
        return {name: int(count) for name, count in zip(CHECK_NAMES, counts, strict=True) if count}

    def raise_severity(self, worst: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        """Lift each row's worst severity to what was found in it."""
        np.maximum.at(worst, self.rows, _SEVERITY_OF_CHECK[self.checks])

    @staticmethod
    def _finding(record: np.void, details: int) -> Finding:
        detail = os.pread(details, int(record["length"]), int(record["start"])).decode("utf-8", "surrogatepass")
        message = int(record["message"])
        return Finding(CHECK_NAMES[int(record["check"])], detail, None if message < 0 else message)


class Look:
    """All rows as they are, as far as they are written. `state` says whether more will come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state: LookState = read_state(folder) or LookState()
        # The state comes first: paths and counts in it are never behind rows that are read later, but one write.
        self._rows = self._known_rows(mapped(folder / ROWS_NAME, ROW))
        self.num_rows = len(self._rows)
        self.lengths: IntArray = np.ascontiguousarray(self._rows["length"])
        self.trained: IntArray = np.ascontiguousarray(self._rows["trained"])
        self.kinds = np.ascontiguousarray(self._rows["kind"])
        self.findings = Findings(folder, self.num_rows)
        self.curve = self._curve()

    @property
    def is_done(self) -> bool:
        return self.state.stage == "done"

    @property
    def share_done(self) -> float:
        return 1.0 if self.is_done else self.state.bytes_done / max(1, self.state.bytes_total)

    @property
    def num_labelled(self) -> int:
        return int(np.count_nonzero(self.kinds != UNUSABLE))

    @property
    def num_conversations(self) -> int:
        return int(np.count_nonzero(self.kinds == KINDS["conversation"]))

    @property
    def has_documents(self) -> bool:
        return bool((self.kinds == KINDS["document"]).any())

    def is_unusable(self, row: int) -> bool:
        return bool(self.kinds[row] == UNUSABLE)

    def can_be_cut(self, row: int) -> bool:
        """Whether a max length takes something of it; documents are split, and lose nothing."""
        return bool(self.kinds[row] == KINDS["conversation"])

    def source(self, row: int) -> int:
        """Index of the data source; held-out sources count on."""
        return int(self._rows["source"][row])

    def ref(self, row: int) -> RowRef:
        record = self._rows[row]
        return RowRef(self.state.paths[int(record["path"])], int(record["line"]))

    def tokens(self, row: int) -> TokenRow:
        """Read from disk."""
        record = self._rows[row]
        return read_tokens(self.folder, int(record["start"]), int(record["length"]))

    def refused(self) -> dict[str, int]:
        """Rows that became no labels, by the check that says why."""
        unusable = self.kinds[self.findings.rows] == UNUSABLE
        counts = np.bincount(self.findings.checks[unusable], minlength=len(CHECK_NAMES))
        return {name: int(count) for name, count in zip(CHECK_NAMES, counts, strict=True) if count}

    def _known_rows(self, rows: Records) -> Records:
        unknown = np.flatnonzero(rows["path"] >= len(self.state.paths))
        return rows[: unknown[0]] if unknown.size else rows

    def _curve(self) -> LengthCurve:
        is_conversation = self.kinds == KINDS["conversation"]
        first = np.ascontiguousarray(self._rows["first"])
        others = int(self.trained[self.kinds == KINDS["document"]].sum(dtype=np.int64))
        try:
            counts = np.load(self.folder / CURVE_NAME)
        except (OSError, ValueError, EOFError):
            counts = np.zeros((2, 0), dtype=np.int64)  # not written yet, or just being written
        return LengthCurve(
            self.lengths[is_conversation], self.trained[is_conversation], first[is_conversation], counts, others
        )


class Fit:
    """What a max length made of the longer rows of a look; complete."""

    def __init__(self, folder: Path, max_length: int, num_rows: int) -> None:
        self.folder, self.max_length = folder, max_length
        self._fits = mapped(folder / FITS_NAME, FIT)
        self._rows: RowNumbers = np.ascontiguousarray(self._fits["row"])
        self.findings = Findings(folder, num_rows)
        self.rows_left_out = int(np.count_nonzero(self._fits["length"] == 0))
        self.rows_shortened = len(self._fits) - self.rows_left_out
        self.turns_dropped = int(self._fits["turns"].sum(dtype=np.int64))

    def of(self, row: int) -> "FittedTokens | None":
        """None for a row that is no longer than the max length."""
        place = int(np.searchsorted(self._rows, row))
        if place == len(self._rows) or self._rows[place] != row:
            return None
        record = self._fits[place]
        start, length = int(record["start"]), int(record["length"])
        anew = read_tokens(self.folder, start, length) if start >= 0 else None
        return FittedTokens(length=length, num_trained=int(record["trained"]), turns=int(record["turns"]), anew=anew)

    def num_trained_kept(self, look: Look) -> int:
        """Trained tokens of all rows after fitting."""
        whole = int(look.trained.sum(dtype=np.int64))
        return (
            whole - int(look.trained[self._rows].sum(dtype=np.int64)) + int(self._fits["trained"].sum(dtype=np.int64))
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedTokens:
    """What is trained of one longer row."""

    length: int
    """Tokens kept; 0 where the row is left out."""
    num_trained: int
    turns: int
    """Oldest turns dropped."""
    anew: TokenRow | None
    """The row as it was rendered without them; None where it is the beginning of the whole row."""


def read_tokens(folder: Path, start: int, length: int) -> TokenRow:
    """Some tokens of a folder's file."""
    with (folder / TOKENS_NAME).open("rb") as ids, (folder / TRAINED_NAME).open("rb") as trained:
        content = os.pread(ids.fileno(), length * TOKEN.itemsize, start * TOKEN.itemsize)
        flags = os.pread(trained.fileno(), length, start)
    return TokenRow(
        ids=np.frombuffer(content, dtype=TOKEN).astype(np.int32, copy=False),
        is_trained=np.frombuffer(flags, dtype=np.bool_),
    )


def sum_of_totals(parts: tuple[Mapping[str, int], ...]) -> dict[str, int]:
    """Counts of several folders, in the order of the checks."""
    return {name: count for name in CHECK_NAMES if (count := sum(part.get(name, 0) for part in parts))}
