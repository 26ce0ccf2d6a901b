"""Opens a run that this process carries out to others: they may see that it lives, and steer it by its mailbox."""

import logging
import os
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import cast

from tui_tuner.controls import Controls
from tui_tuner.errors import TunerError
from tui_tuner.events import RunFailed, RunFinished, RunResumed, RunStarted, TrainEvent
from tui_tuner.hosting.launching import open_live_folder
from tui_tuner.hosting.live_folder import LiveFolder, live_folder
from tui_tuner.hosting.mailbox import MailboxReader
from tui_tuner.hosting.notes import LaunchNote

ABORTED = RunFailed(error="Aborted", message="The run was aborted; what was saved before stays valid.")
_LOG = logging.getLogger(__name__)


def with_mailbox(events: Iterator[TrainEvent], controls: Controls) -> Iterator[TrainEvent]:
    """The events of a run, with its mailbox open from the moment that its plan stands.

    A mailbox that cannot be opened is no reason to train nothing; the log says so. An abort ends the events early.
    """
    with ExitStack() as stack, closing(cast("Generator[TrainEvent]", ending_on_abort(events, controls))) as ending:
        for event in ending:
            if isinstance(event, RunStarted | RunResumed):
                model = event.plan.model.source if event.plan else ""
                stack.enter_context(_mailbox(Path(event.folder), model, controls))
            yield event


def ending_on_abort(events: Iterator[TrainEvent], controls: Controls) -> Iterator[TrainEvent]:
    """The events; after an abort the run is closed between two of them, whatever phase it is in."""
    with closing(cast("Generator[TrainEvent]", events)):
        for event in events:
            yield event
            if isinstance(event, RunFailed | RunFinished):
                continue
            if controls.is_aborting:
                break
        else:
            return
    yield ABORTED.model_copy(update={"time": event.time})


@contextmanager
def _mailbox(run_folder: Path, model: str, controls: Controls) -> Iterator[None]:
    live = live_folder(run_folder.parent, run_folder.name)
    note = LaunchNote(run_id=live.run_id, mode="foreground", model=model)
    try:
        lock = open_live_folder(live, note)
    except TunerError as error:
        _LOG.warning("This run cannot be steered from elsewhere: %s", error.message)
        yield
        return
    try:
        with MailboxReader(live.mailbox, controls):
            yield
    finally:
        os.close(lock)
        _remove(live)


def _remove(live: LiveFolder) -> None:
    """With the folders above it, where nothing else is in them: a run that failed early leaves no trace."""
    shutil.rmtree(live.path, ignore_errors=True)
    with suppress(OSError):
        live.path.parent.rmdir()
        live.runs_folder.rmdir()
