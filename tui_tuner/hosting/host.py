"""The engine's process of a run that was launched: `python -m tui_tuner.hosting.host FOLDER LOCK`.

A TERM signal stops the run and saves; a second one within five seconds ends it at once. A hang-up means nothing here.
"""

import math
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import cast

from tui_tuner.controls import Controls
from tui_tuner.errors import EXIT_BUG, EXIT_INTERRUPTED, EXIT_TRAINING_STOPPED, TunerError
from tui_tuner.events import Phase, PhaseStarted, RunFailed, RunFinished, RunResumed, TrainEvent
from tui_tuner.hardware import probe_hardware
from tui_tuner.hosting.live_folder import LiveFolder
from tui_tuner.hosting.mailbox import MailboxReader
from tui_tuner.hosting.notes import LaunchNote, read_note
from tui_tuner.hosting.visiting import ABORTED, ending_on_abort
from tui_tuner.journal.writing import EVENTS_NAME
from tui_tuner.planning.preflight import check_output
from tui_tuner.planning.run_plan import make_plan
from tui_tuner.recipe import read_recipe
from tui_tuner.redaction import redacted

HARD_SECONDS = (0.5, 5.0)
"""A second TERM this long after the first ends the run at once. Sooner, it is the same signal sent to all processes."""
ABORT_POLL_SECONDS = 0.2
ABORT_SECONDS = 3.0
HANG_SECONDS = 15.0


def main(folder: Path, lock: int) -> int:
    """Carry out what was launched in a live folder; returns the exit code."""
    _hold(lock)
    live = LiveFolder(folder)
    note = read_note(live.note, LaunchNote) or LaunchNote(run_id=live.run_id, mode="detached")
    controls = Controls()
    _obey_signals(controls)
    early = EarlyEvents(live, is_resuming=note.resume is not None)
    is_over = threading.Event()
    threading.Thread(target=_end_what_hangs, args=(controls, is_over), name="abort", daemon=True).start()
    try:
        with MailboxReader(live.mailbox, controls):
            return _follow(_events(live, note, controls), controls, early)
    except KeyboardInterrupt:
        early.append(ABORTED)
        return EXIT_INTERRUPTED
    except TunerError as error:
        early.append(RunFailed(error=type(error).__name__, message=error.message, hint=error.hint))
        _say(f"error: {error.message}", *[f"  try: {error.hint}"][: bool(error.hint)])
        return error.exit_code
    except Exception as error:  # anything else is a bug; it is told to whoever looks at this run
        _say(redacted(traceback.format_exc()))
        early.append(
            RunFailed(error=type(error).__name__, message=redacted(str(error)), hint="This is a bug in tuner.")
        )
        raise SystemExit(EXIT_BUG) from error
    finally:
        is_over.set()


class EarlyEvents:
    """Takes note of events until the run writes them into its own journal."""

    def __init__(self, live: LiveFolder, *, is_resuming: bool) -> None:
        self._path = live.events
        self._journal = live.run_folder / EVENTS_NAME
        self._is_resuming = is_resuming
        self._is_over = False

    def append(self, event: TrainEvent) -> None:
        self._is_over = self._is_over or self._is_in_journal(event)
        if not self._is_over:
            with self._path.open("ab") as file:
                file.write(event.model_dump_json().encode() + b"\n")

    def _is_in_journal(self, event: TrainEvent) -> bool:
        """A resumed run has a journal from before, and writes on in it from its first RunResumed."""
        return isinstance(event, RunResumed) if self._is_resuming else self._journal.exists()


def _follow(events: Iterator[TrainEvent], controls: Controls, early: EarlyEvents) -> int:
    last: TrainEvent | None = None
    with closing(cast("Generator[TrainEvent]", ending_on_abort(events, controls))) as ending:
        for last in ending:
            early.append(last)
    if isinstance(last, RunFinished):
        return 0
    return EXIT_INTERRUPTED if controls.is_aborting else EXIT_TRAINING_STOPPED


def _events(live: LiveFolder, note: LaunchNote, controls: Controls) -> Iterator[TrainEvent]:
    yield PhaseStarted(phase=Phase.PLANNING)
    if note.resume is not None:
        from tui_tuner.engine.resume import resume

        yield from resume(Path(note.resume), controls, accept=note.accept)
        return
    recipe = read_recipe(live.recipe)
    # Without torch, so that what stands against this run is said seconds before the engine could say it.
    check_output(make_plan(recipe, probe_hardware()))
    from tui_tuner.engine.run import run

    yield from run(recipe, controls, run_id=live.run_id)


def _hold(lock: int) -> None:
    """The lock came from whoever launched this; from now on it names this process."""
    os.set_inheritable(lock, False)
    owner = f"{os.getpid()} {socket.gethostname()}\n".encode()
    os.pwrite(lock, owner, 0)
    os.ftruncate(lock, len(owner))


def _obey_signals(controls: Controls) -> None:
    first = -math.inf

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal first
        least, most = HARD_SECONDS
        waited = time.monotonic() - first
        if controls.is_aborting or least < waited < most:
            controls.abort()
            raise KeyboardInterrupt
        if waited >= most:
            first = time.monotonic()
            controls.stop()

    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    # The supervisor starts this process with them held back.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))


def _end_what_hangs(controls: Controls, is_over: threading.Event) -> None:
    """An abort ends the run within a step; a phase without steps is interrupted, and what does not heed that ended."""
    while not controls.is_aborting:
        if is_over.wait(ABORT_POLL_SECONDS):
            return
    if not is_over.wait(ABORT_SECONDS):
        os.kill(os.getpid(), signal.SIGINT)
        if not is_over.wait(HANG_SECONDS):
            os._exit(EXIT_INTERRUPTED)


def _say(*lines: str) -> None:
    for line in lines:
        sys.stderr.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), int(sys.argv[2])))
