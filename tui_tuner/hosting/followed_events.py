"""The events of a run in another process, one by one as they come, for what shows a record of them and not a state."""

import time
from collections.abc import Iterator

from tui_tuner.events import PhaseStarted, RunStarted, TrainEvent
from tui_tuner.hosting.launches import is_living
from tui_tuner.hosting.live_folder import LiveFolder
from tui_tuner.hosting.tailing import EventTail
from tui_tuner.journal.writing import EVENTS_NAME

READ_SECONDS = 0.2
POLL_SECONDS = 0.25


def followed_events(live: LiveFolder) -> Iterator[TrainEvent]:
    """From the first event until the run's process is gone and all was read. Whoever leaves early changes nothing."""
    tail = EventTail(live.events)
    journal = live.run_folder / EVENTS_NAME
    told: list[TrainEvent] = []
    while True:
        was_alive = is_living(live)
        if tail.path != journal and journal.exists():
            tail = EventTail(journal)
        for event in tail.read(READ_SECONDS) or ():
            if tail.path != journal:
                told.append(event)
            # The journal begins with what was told already.
            elif isinstance(event, RunStarted | PhaseStarted) and event in told:
                continue
            yield event
        if tail.is_at_end and (tail.path == journal or not journal.exists()):
            if not was_alive:
                return
            time.sleep(POLL_SECONDS)
