"""Reads events back, from a finished run or from one that is being written. Never writes and never locks."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tui_tuner.errors import RunError
from tui_tuner.events import RunState, TrainEvent, event_from_json
from tui_tuner.journal.writing import EVENTS_NAME

FOLDED_TOGETHER = 2000


def read_events(folder: Path) -> Iterator[TrainEvent]:
    """All events, oldest first. A last line without its end is still being written, or was torn, and is left out.

    Raises:
        RunError: there is no journal, or a line in it is not an event.
    """
    path = folder / EVENTS_NAME
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    yield _parse(line, f"{path}:{number}")
    except OSError as error:
        raise unreadable(path, error) from error


def read_state(folder: Path) -> RunState:
    """The fold of all events. Raises RunError as `read_events` does."""
    state, events = RunState(), read_events(folder)
    # Many steps at once cost hardly more than one.
    while some := tuple(itertools.islice(events, FOLDED_TOGETHER)):
        state = state.after_all(some)
    return state


def tail(folder: Path, from_offset: int = 0) -> tuple[tuple[TrainEvent, ...], int]:
    """The events after a byte offset, and the offset to go on from.

    Raises:
        RunError: there is no journal, a line is not an event, or the file is shorter than the offset.
    """
    path = folder / EVENTS_NAME
    try:
        with path.open("rb") as file:
            file.seek(from_offset)
            text = file.read()
            if not text and file.seek(0, 2) < from_offset:
                raise RunError(f"{path} became shorter while it was followed.", "Read it again from the start.")
    except OSError as error:
        raise unreadable(path, error) from error
    whole = text[: text.rfind(b"\n") + 1]
    lines = whole.split(b"\n")[:-1]
    return tuple(_parse(line, f"{path} after byte {from_offset}") for line in lines), from_offset + len(whole)


def unreadable(path: Path, error: OSError) -> RunError:
    """The error for a journal that cannot be opened."""
    return RunError(f"{path} cannot be read: {error.strerror}.", "`tuner runs` lists the runs that can.")


def _parse(line: bytes, where: str) -> TrainEvent:
    try:
        return event_from_json(line)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise RunError(
            f"{where} is not an event: {reason}.", "The file was changed, or written by another version of tuner."
        ) from error
