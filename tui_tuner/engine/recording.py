"""Every event of a run is in its journal before anyone sees it, the one that says why it ended included."""

import traceback
from collections.abc import Iterator

from tui_tuner.errors import TunerError
from tui_tuner.events import RunFailed, RunState, TrainEvent
from tui_tuner.journal import RunJournal
from tui_tuner.redaction import redacted
from tui_tuner.trackers.sending import TrackerSet


class Recorder:
    """Writes events to the journal, passes them to trackers, and keeps their sum."""

    def __init__(self, journal: RunJournal, state: RunState | None = None, trackers: TrackerSet | None = None) -> None:
        self.journal = journal
        self._trackers = trackers
        self.state = state or RunState()

    def record(self, event: TrainEvent) -> TrainEvent:
        self.journal.append(event)
        self.state = self.state.after(event)
        if self._trackers is not None:
            self._trackers.take(event)
        return event

    def warnings(self) -> Iterator[TrainEvent]:
        """What trackers could not do since the last call."""
        for warning in self._trackers.warnings() if self._trackers is not None else ():
            yield self.record(warning)


def recorded(phases: Iterator[TrainEvent], recorder: Recorder) -> Iterator[TrainEvent]:
    """The same events, written down. An error, an abort and a reader who leaves become RunFailed, and go on."""
    try:
        for event in phases:
            yield recorder.record(event)
            yield from recorder.warnings()
    except TunerError as error:
        yield recorder.record(_failure(type(error).__name__, error.message, error.hint, recorder))
        raise
    except (GeneratorExit, KeyboardInterrupt):
        recorder.record(aborted(recorder))
        raise
    except Exception as error:
        with recorder.journal.log_path.open("a", encoding="utf-8") as log:
            log.write(redacted(traceback.format_exc()))
        hint = f"This is a bug in tuner; the traceback is in {recorder.journal.log_path}."
        yield recorder.record(_failure(type(error).__name__, redacted(str(error)), hint, recorder))
        raise


def aborted(recorder: Recorder) -> RunFailed:
    """How a run ends that was told to end at once."""
    return _failure("Aborted", "The run was aborted; what was saved before stays valid.", "", recorder)


def _failure(error: str, message: str, hint: str, recorder: Recorder) -> RunFailed:
    return RunFailed(error=error, message=message, hint=hint, step=recorder.state.step)
