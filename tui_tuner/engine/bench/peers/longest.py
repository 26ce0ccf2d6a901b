"""The longest sequence that each system trains on within a budget of memory: a process for each length tried."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tui_tuner.engine.bench.peers.children import Children
from tui_tuner.engine.bench.peers.made_rows import write_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Job
from tui_tuner.engine.bench.peers.request import NAMES, ComparisonRequest
from tui_tuner.engine.bench.peers.setting import Setting
from tui_tuner.engine.bench.peers.table import SystemRow
from tui_tuner.engine.bench.peers.turns import reason_of

GIB = 2**30
CONTEXT_BYTES = int(0.6 * GIB)
"""What a CUDA context takes of a card; the allocator's limit does not count it."""
FIRST_LENGTHS = (8192, 16384)
STEP = 64
"""Lengths are multiples of this."""
CLOSE_ENOUGH = 0.01
MOST_TRIES = 9


@dataclass
class Search:
    """What is known of one system so far."""

    budget: int
    most: int
    """The model's context: nothing longer is tried."""
    fitting: list[tuple[int, int]] = field(default_factory=list)
    """Lengths with their peaks, in the order in which they were tried."""
    failing: int | None = None
    """The shortest length that did not fit."""
    tries: int = 0

    @property
    def longest(self) -> int:
        return max((length for length, _ in self.fitting), default=0)

    def next_length(self) -> int | None:
        """By the line through the two longest that fitted, else half-way; None where it is known well enough."""
        longest, bound = self.longest, self.failing or self.most + STEP
        if self.tries >= MOST_TRIES or bound - longest <= max(STEP, CLOSE_ENOUGH * longest):
            return None
        if self.tries < len(FIRST_LENGTHS) and self.failing is None:
            return min(FIRST_LENGTHS[self.tries], self.most)
        guess = self._predicted()
        if self.failing is not None:
            # Next to a length that failed lies the answer where the line is right.
            guess = min(guess, bound * (1 - CLOSE_ENOUGH))
            guess = guess if guess > longest * (1 + CLOSE_ENOUGH / 2) else (longest + bound) / 2
        length = int(guess) // STEP * STEP
        return max(STEP, min(max(length, longest + STEP), bound - STEP, self.most))

    def note(self, length: int, answer: Answer) -> None:
        self.tries += 1
        if answer.status == "done":
            self.fitting.append((length, answer.peak_bytes or 0))
        else:
            self.failing = min(length, self.failing or length)

    def _predicted(self) -> float:
        points = sorted(self.fitting)[-2:]
        if len(points) < 2:
            return (self.longest + (self.failing or 2 * self.longest)) / 2
        (short, low), (long, high) = points
        slope = (high - low) / (long - short)
        return long + 0.995 * (self.budget - high) / slope if slope > 0 else 2.0 * long


def longest_contexts(
    setting: Setting, request: ComparisonRequest, children: Children
) -> Generator[str, None, tuple[SystemRow, ...]]:
    """A row for each system. On a processor, which has no budget, nothing is tried."""
    rows: tuple[SystemRow, ...] = ()
    for system in ("tuner", *request.peers):
        rows = (*rows, (yield from _longest(system, setting, children)))
    return rows


def _longest(system: str, setting: Setting, children: Children) -> Generator[str, None, SystemRow]:
    budget = setting.case.memory_gib * GIB - CONTEXT_BYTES
    search = Search(budget, setting.model.context_length)
    name = f"{setting.case.name}/{system}"
    answer = Answer(status="failed", reason="it has no budget of memory")
    last = answer
    while setting.job.device == "cuda" and (length := search.next_length()) is not None:
        yield f"{setting.case.name}: {NAMES[system]} at {length:,} tokens"
        last = children.measure(_job(system, setting, length, budget), name)
        if last.status in ("absent", "failed"):
            answer = last
            break
        search.note(length, last)
        answer = last if last.status == "done" else answer
    return _row(system, search, answer, last)


def _row(system: str, search: Search, answer: Answer, last: Answer) -> SystemRow:
    """A failure that is no lack of memory is told beside what was reached before it."""
    peaks = dict(search.fitting)
    reason = "" if search.longest else answer.reason
    if last.status == "absent":
        reason = reason_of(last, system)
    note = f"then it failed: {last.reason}" if search.longest and last.status == "failed" else answer.note
    return SystemRow(
        system=NAMES[system],
        status="done" if search.longest else last.status,
        reason=reason,
        longest=search.longest or None,
        peak_bytes=peaks.get(search.longest) or None,
        versions=answer.versions,
        note=note,
    )


def _job(system: str, setting: Setting, length: int, budget: int) -> Job:
    """Two steps of one row: the second has the optimizer's states."""
    rows = Path(setting.job.rows).with_name(f"rows-{length}.npz")
    if not rows.exists():
        case = replace(setting.case, kind="step", length=length, rows=1, accumulation=1)
        write_rows(rows, case, setting.model.vocab_size)
    return replace(
        setting.job_of(setting.variants(system)[0]),
        rows=str(rows),
        max_length=length,
        rows_per_batch=1,
        check_rows=0,
        warm_up=1,
        steps=1,
        memory_limit=budget,
    )
