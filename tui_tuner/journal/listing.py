"""Finds and sums up runs without reading their journals in full: a line from the head and a few from the end."""

import difflib
import mmap
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from tui_tuner.errors import RunError
from tui_tuner.events import (
    CheckpointSaved,
    DataReady,
    EvalFinished,
    Outcome,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    TrainEvent,
    event_from_json,
)
from tui_tuner.journal.lock import is_alive
from tui_tuner.journal.reading import unreadable
from tui_tuner.journal.writing import EVENTS_NAME

RunStatus = Literal["running", "paused", "completed", "stopped", "failed", "interrupted", "unreadable"]
RESUMABLE: tuple[RunStatus, ...] = ("stopped", "failed", "interrupted")
RESUMED = b'"kind":"run_resumed"'
CHECKPOINT_NAME = re.compile(r"step-([0-9]+)(?:-([0-9]+))?")
"""Folder of a checkpoint: the step, and a number where one of that step was there already."""
HEAD_BYTES = 1_000_000
NUM_CURVE_SAMPLES = 10
_OF_OUTCOME: dict[Outcome, RunStatus] = {
    Outcome.COMPLETED: "completed",
    Outcome.STOPPED: "stopped",
    Outcome.FAILED: "failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """One line in a list of runs."""

    id: str
    folder: str
    state: RunStatus
    model: str = ""
    started: float | None = None
    updated: float | None = None
    step: int = 0
    total_steps: int | None = None
    last_loss: float | None = None
    best_loss: float | None = None
    """Lowest loss on the held-out rows; None before the first evaluation."""
    losses: tuple[float, ...] = ()
    """A few training losses from first to last, for a sketch of the curve."""
    problem: str = ""
    """Why it failed or cannot be read."""
    checkpoint_step: int | None = None
    """Step of the newest checkpoint; None where there is none."""

    @property
    def can_resume(self) -> bool:
        """Whether `tuner resume` may go on with it: nobody trains it, and it did not come to its end."""
        return self.state in RESUMABLE


def list_runs(runs_folder: Path) -> tuple[RunSummary, ...]:
    """All runs of a folder, newest first. A folder that does not exist holds none; a damaged run is listed as such."""
    if not runs_folder.is_dir():
        return ()
    folders = [path.parent for path in runs_folder.glob(f"*/{EVENTS_NAME}") if not path.parent.name.startswith(".")]
    summaries = [summarise(folder) for folder in folders]
    return tuple(sorted(summaries, key=lambda one: (one.started or 0.0, one.id), reverse=True))


def find_run(text: str, runs_folder: Path) -> Path:
    """The folder that is meant by an id, the beginning of one, "last", or a path.

    Raises:
        RunError: there is none, or more than one.
    """
    for path in (Path(text), runs_folder / text):
        if (path / EVENTS_NAME).is_file():
            return path
    if text == "last":
        runs = list_runs(runs_folder)
        if not runs:
            raise RunError(f"There are no runs in {runs_folder}.", "`tuner demo` makes one in about a minute.")
        return Path(runs[0].folder)
    ids = sorted(path.parent.name for path in runs_folder.glob(f"*/{EVENTS_NAME}"))
    matching = [one for one in ids if one.startswith(text)]
    if len(matching) == 1:
        return runs_folder / matching[0]
    if matching:
        raise RunError(f"{text!r} is the beginning of {len(matching)} runs: {_some(matching)}.", "Type more of it.")
    near = difflib.get_close_matches(text, ids, n=1)
    hint = f"Did you mean {near[0]}?" if near else f"`tuner runs --folder {runs_folder}` lists them."
    raise RunError(f"There is no run {text!r} in {runs_folder}.", hint)


def summarise(folder: Path) -> RunSummary:
    """One run at a glance, at a cost that hardly depends on its length."""
    path = folder / EVENTS_NAME
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return _summary(folder, text)
    except OSError as error:
        return RunSummary(
            id=folder.name, folder=str(folder), state="unreadable", problem=unreadable(path, error).message
        )
    except ValueError as error:
        # Python refuses to map an empty file with a ValueError, and pydantic's ValidationError is one too.
        problem = "a line is not an event" if isinstance(error, ValidationError) else "nothing was written"
        state: RunStatus = "running" if is_alive(folder) else "unreadable"
        return RunSummary(id=folder.name, folder=str(folder), state=state, problem=f"{path}: {problem}")


def _summary(folder: Path, text: mmap.mmap) -> RunSummary:
    end = text.rfind(b"\n") + 1
    first = event_from_json(text[: text.find(b"\n") + 1])
    started = first if isinstance(first, RunStarted) else None
    last = event_from_json(text[text.rfind(b"\n", 0, end - 1) + 1 : end])
    gaps = _superseded(text, end)
    step = _last(text, end, b'"kind":"step"', gaps)
    best = _last(text, end, b'"is_best":true', gaps)
    return RunSummary(
        id=folder.name,
        folder=str(folder),
        state=_status(folder, text, last, end),
        model=started.plan.model.source if started else "",
        started=first.time,
        updated=last.time,
        step=step.step if isinstance(step, StepFinished) else 0,
        total_steps=_total_steps(started, text),
        last_loss=step.loss if isinstance(step, StepFinished) else None,
        best_loss=best.loss if isinstance(best, EvalFinished | CheckpointSaved) else None,
        losses=_sketch(text, end, gaps),
        problem=last.message if isinstance(last, RunFailed) else "",
        checkpoint_step=_checkpoint_step(folder),
    )


def _status(folder: Path, text: mmap.mmap, last: TrainEvent, end: int) -> RunStatus:
    if isinstance(last, RunFailed):
        return "failed"
    if isinstance(last, RunFinished):
        return _OF_OUTCOME[last.outcome]
    if not is_alive(folder):
        return "interrupted"
    paused = text.rfind(b'"action":"pause"', 0, end)
    is_going_on = any(text.find(mark, paused, end) >= 0 for mark in (b'"action":"resume"', RESUMED))
    return "paused" if paused >= 0 and not is_going_on else "running"


def _superseded(text: mmap.mmap, end: int) -> tuple[tuple[int, int], ...]:
    """The stretches of the journal that resumed runs took back, as (from, to) in bytes."""
    gaps = []
    place = text.rfind(RESUMED, 0, end)
    while place >= 0:
        event = _event_around(text, place)
        if isinstance(event, RunResumed):
            gaps.append((event.superseded_from, place))
        place = text.rfind(RESUMED, 0, place)
    return tuple(gaps)


def _last(text: mmap.mmap, end: int, mark: bytes, gaps: tuple[tuple[int, int], ...]) -> TrainEvent | None:
    """The last event that counts and whose line holds `mark`. Quotes inside texts are escaped, so only keys match."""
    place = text.rfind(mark, 0, end)
    while place >= 0 and (begin := _gap_around(place, gaps)) is not None:
        place = text.rfind(mark, 0, begin)
    return _event_around(text, place)


def _gap_around(place: int, gaps: tuple[tuple[int, int], ...]) -> int | None:
    return min((begin for begin, stop in gaps if begin <= place < stop), default=None)


def _checkpoint_step(folder: Path) -> int | None:
    found = (CHECKPOINT_NAME.fullmatch(path.name) for path in (folder / "checkpoints").glob("step-*"))
    return max((int(match[1]) for match in found if match), default=None)


def _event_around(text: mmap.mmap, place: int) -> TrainEvent | None:
    if place < 0:
        return None
    return event_from_json(text[text.rfind(b"\n", 0, place) + 1 : text.find(b"\n", place) + 1])


def _total_steps(started: RunStarted | None, text: mmap.mmap) -> int | None:
    """The exact schedule once the data was labelled, before that the planned one."""
    begin = max(0, text.rfind(RESUMED))
    ready = _event_around(text, text.find(b'"kind":"data_ready"', begin, begin + HEAD_BYTES))
    if isinstance(ready, DataReady):
        return ready.schedule.total_steps
    return started.plan.schedule.total_steps if started else None


def _sketch(text: mmap.mmap, end: int, gaps: tuple[tuple[int, int], ...]) -> tuple[float, ...]:
    """Losses of the first step after each of a few evenly spaced places of the file."""
    first = text.find(b'"kind":"step"', 0, end)
    if first < 0:
        return ()
    stride = (end - first) / NUM_CURVE_SAMPLES
    places = [text.find(b'"kind":"step"', first + int(number * stride), end) for number in range(NUM_CURVE_SAMPLES)]
    steps = [_event_around(text, place) for place in dict.fromkeys(places) if _gap_around(place, gaps) is None]
    return tuple(one.loss for one in steps if isinstance(one, StepFinished))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
