"""Every event of a run is in its journal before anyone sees it, the one that says why it ended included."""

import traceback
from collections.abc import Iterator

from tui_tuner.engine.checks.loss_watch import LossWatch
from tui_tuner.engine.gpu_failure import machine_error
from tui_tuner.errors import TunerError
from tui_tuner.events import RunFailed, RunState, StepFinished, TrainEvent
from tui_tuner.journal import RunJournal
from tui_tuner.redaction import redacted
from tui_tuner.trackers.sending import TrackerSet


class Recorder:
    """Writes events to the journal, passes them to trackers, and keeps their sum."""

    def __init__(self, journal: RunJournal, state: RunState | None = None, trackers: TrackerSet | None = None) -> None:
        self.journal = journal
        self._trackers = trackers
        self.state = state or RunState()
        self._watch = LossWatch()

    def record(self, event: TrainEvent) -> TrainEvent:
        self.journal.append(event)
        self.state = self.state.after(event)
        if self._trackers is not None:
            self._trackers.take(event)
        return event

    def warnings(self, event: TrainEvent) -> Iterator[TrainEvent]:
        """What is odd about an event, and what trackers could not do with it."""
        jump = self._watch.take(event) if isinstance(event, StepFinished) else None
        for warning in (*([jump] if jump else []), *(self._trackers.warnings() if self._trackers else ())):
            yield self.record(warning)


def recorded(phases: Iterator[TrainEvent], recorder: Recorder) -> Iterator[TrainEvent]:
    """The same events, written down. An error, an abort and a reader who leaves become RunFailed, and go on."""
    try:
        for event in phases:
            yield recorder.record(event)
            yield from recorder.warnings(event)
    except TunerError as error:
        yield recorder.record(_failure(type(error).__name__, error.message, error.hint, recorder))
        raise
    except (GeneratorExit, KeyboardInterrupt):
        recorder.record(aborted(recorder))
        raise
    except Exception as error:
        with recorder.journal.log_path.open("a", encoding="utf-8") as log:
            log.write(redacted(traceback.format_exc()))
        failed = machine_error(error, recorder.state.step, str(recorder.journal.folder))
        if failed is not None:
            yield recorder.record(_failure(type(failed).__name__, failed.message, failed.hint, recorder))
            raise failed from error
        hint = f"This is a bug in tuner; the traceback is in {recorder.journal.log_path}."
        yield recorder.record(_failure(type(error).__name__, redacted(str(error)), hint, recorder))
        raise


def aborted(recorder: Recorder) -> RunFailed:
    """How a run ends that was told to end at once."""
    return _failure("Aborted", "The run was aborted; what was saved before stays valid.", "", recorder)


def _failure(error: str, message: str, hint: str, recorder: Recorder) -> RunFailed:
    return RunFailed(error=error, message=message, hint=hint, step=recorder.state.step)
