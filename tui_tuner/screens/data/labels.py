"""What is known of the labels of the present draft: the values that the panels and the start of a run look at."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.refusing import Verdict
from tui_tuner.data.looking.curve import AtLength
from tui_tuner.data.looking.look import SEVERITIES, Fit, FittedTokens, Look, RowNumbers, TokenRow, sum_of_totals
from tui_tuner.errors import TunerError
from tui_tuner.screens.data.lengths import Histogram
from tui_tuner.screens.data.wish import Policies

Stage = Literal["none", "reading", "fitting", "done", "stopped", "failed"]
PROBLEM = SEVERITIES["warning"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """What is counted over all rows that are known. Takes time to make, none to look at."""

    totals: dict[str, int]
    """Rows of each check that found something, in the order of the checks."""
    refused: dict[str, int]
    num_labelled: int
    num_compared: int
    """Conversations to which both methods apply."""
    num_tokens: int
    num_trained: int
    num_trained_kept: int
    """After fitting, where that is done."""
    worst: np.ndarray[tuple[int], np.dtype[np.uint8]]
    """The worst severity that was found in each row: 0 none, 1 note, 2 warning, 3 blocking."""
    problem_rows: RowNumbers
    """Rows with a warning or worse, in order."""
    histogram: Histogram


def count_up(look: Look, fit: Fit | None) -> Counted:
    """Count what is known now."""
    parts = [one.findings for one in (look, fit) if one is not None]
    worst = np.zeros(look.num_rows, dtype=np.uint8)
    num_trained = int(look.trained.sum(dtype=np.int64))
    for part in parts:
        part.raise_severity(worst)
    return Counted(
        totals=sum_of_totals(tuple(part.totals() for part in parts)),
        refused=look.refused(),
        num_labelled=look.num_labelled,
        num_compared=look.num_conversations - parts[0].totals().get("unconfirmed", 0),
        num_tokens=int(look.lengths.sum(dtype=np.int64)),
        num_trained=num_trained,
        num_trained_kept=fit.num_trained_kept(look) if fit else num_trained,
        worst=worst,
        problem_rows=np.flatnonzero(worst >= PROBLEM),
        histogram=Histogram.of(look.lengths),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """A state of the desk; replaced as a whole."""

    stage: Stage = "none"
    policies: Policies
    tokenizer_folder: Path
    num_sources: int = 1
    """Training sources; what comes behind them is held out."""
    look: Look | None = None
    fit: Fit | None = None
    """None where no row is longer, and until the longer ones are fitted."""
    counted: Counted | None = None
    settled_length: int | None = None
    """The max length in force; None until it is known."""
    share_done: float = 0.0
    failure: TunerError | None = None

    @property
    def num_rows(self) -> int:
        return self.look.num_rows if self.look else 0

    @property
    def is_busy(self) -> bool:
        return self.stage in ("reading", "fitting")

    @cached_property
    def verdict(self) -> Verdict:
        counted, fit = self.counted, self.fit
        return Verdict(
            totals=counted.totals if counted else {},
            refused=counted.refused if counted else {},
            num_labelled=counted.num_labelled if counted else 0,
            left_out=(fit.rows_left_out, fit.max_length) if fit else None,
            on_disagreement=self.policies.on_disagreement,
            on_bad_row=self.policies.on_bad_row,
        )

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why training would refuse what is known so far."""
        is_too_early = self.counted is None or (self.is_busy and not self.counted.num_labelled)
        return () if is_too_early else tuple(self.verdict.reasons())

    def rows_of(self, check: str) -> RowNumbers:
        parts = [one.findings.rows_of(check) for one in (self.look, self.fit) if one is not None]
        return np.unique(np.concatenate(parts)) if parts else np.empty(0, dtype=np.int64)

    def findings(self, row: int) -> list[Finding]:
        return [found for one in (self.look, self.fit) if one is not None for found in one.findings.of(row)]

    def at_length(self, max_length: int) -> AtLength | None:
        """What a max length would take by the recipe's policy."""
        counted, fit = self.counted, self.fit
        if self.look is None or counted is None:
            return None
        at = self.look.curve.at(max_length, self.policies.over_length, counted.num_labelled)
        if fit is None or fit.max_length != max_length:
            return at
        # The longer rows were rendered anew for this length: what they keep is known exactly.
        share = counted.num_trained_kept / max(1, counted.num_trained)
        return replace(at, rows_left_out=fit.rows_left_out, share_kept=share, is_least=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelState:
    """How the labels of the present draft stand, for the rail and the start of a run."""

    stage: Stage = "none"
    num_rows: int = 0
    share_done: float = 0.0
    reasons: tuple[str, ...] = ()
    """Why training would refuse."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """One row to look at, read from disk."""

    row: int
    whole: TokenRow
    fitted: FittedTokens | None
    findings: tuple[Finding, ...]
    ref: str
    is_held_out: bool


def read_sample(labels: Labels, row: int) -> Sample | None:
    """The tokens and findings of a row; None where it is not written yet."""
    look = labels.look
    if look is None or not 0 <= row < look.num_rows:
        return None
    return Sample(
        row=row,
        whole=look.tokens(row),
        fitted=labels.fit.of(row) if labels.fit else None,
        findings=tuple(labels.findings(row)),
        ref=str(look.ref(row)),
        is_held_out=look.source(row) >= labels.num_sources,
    )
