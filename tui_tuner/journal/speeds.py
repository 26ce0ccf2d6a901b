"""How fast earlier runs were: the first line and the last steps of a few journals. Reads no journal in full."""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tui_tuner.events import RunStarted, StepFinished, event_from_json
from tui_tuner.journal.writing import EVENTS_NAME
from tui_tuner.plan import RunPlan

MOST_LOOKED_AT = 200
MOST_FOUND = 8
NUM_STEPS = 20
"""The last steps of a run: the first are slow."""
MIN_STEPS = 3


@dataclass(frozen=True, slots=True)
class MeasuredSpeed:
    """One run that is over or goes on."""

    run_id: str
    tokens_per_second: float
    plan: RunPlan


def measured_speeds(runs_folder: Path, model: str) -> tuple[MeasuredSpeed, ...]:
    """The newest runs of a model, by the path or hub id that its plan loads. What cannot be read is passed over."""
    try:
        names = sorted((path.name for path in runs_folder.iterdir() if not path.name.startswith(".")), reverse=True)
    except OSError:
        return ()
    found: list[MeasuredSpeed] = []
    for name in names[:MOST_LOOKED_AT]:
        if (speed := _speed_of(runs_folder / name, model)) is not None:
            found.append(speed)
        if len(found) == MOST_FOUND:
            break
    return tuple(found)


def _speed_of(folder: Path, model: str) -> MeasuredSpeed | None:
    try:
        with (
            (folder / EVENTS_NAME).open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            head = text[: text.find(b"\n") + 1]
            # Most runs are of other models: their plans, which are long, need not be understood.
            if model.encode() not in head:
                return None
            started, steps = event_from_json(head), list(_last_steps(text))
    except (OSError, ValueError, ValidationError):
        # An empty file cannot be mapped (ValueError); a folder without a journal is no run.
        return None
    seconds = sum(one.seconds for one in steps)
    if not isinstance(started, RunStarted) or started.plan.model.source != model or seconds <= 0:
        return None
    return MeasuredSpeed(folder.name, sum(one.tokens for one in steps) / seconds, started.plan)


def _last_steps(text: mmap.mmap) -> Iterator[StepFinished]:
    """The last steps, newest first; none where the run had too few to say anything."""
    found: list[StepFinished] = []
    place = text.rfind(b'"kind":"step"', 0, text.rfind(b"\n") + 1)
    while place >= 0 and len(found) < NUM_STEPS:
        begin = text.rfind(b"\n", 0, place) + 1
        event = event_from_json(text[begin : text.find(b"\n", place) + 1])
        if isinstance(event, StepFinished):
            found.append(event)
        place = text.rfind(b'"kind":"step"', 0, begin)
    # The very first step warms up.
    found = [one for one in found if one.step > 1]
    yield from found if len(found) >= MIN_STEPS else ()
