"""Draws a run of another process until it ends or the watcher leaves, in the forms that a run of this one has."""

from tui_tuner.cli.failures import note
from tui_tuner.cli.watching.forms import open_form
from tui_tuner.errors import EXIT_TRAINING_STOPPED
from tui_tuner.events import RunState
from tui_tuner.hosting.followed_events import followed_events
from tui_tuner.hosting.live_folder import LiveFolder
from tui_tuner.hosting.notes import ExitStatus, read_note
from tui_tuner.hosting.tailing import last_lines
from tui_tuner.journal.writing import LOG_NAME


def attach(live: LiveFolder, *, as_json: bool) -> int:
    """Show a run from its beginning; returns 0 where it ended well or was left, and else how it ended."""
    state = RunState()
    note(f"Watching {live.run_id}. Ctrl-C leaves; the run goes on.")
    try:
        with open_form(as_json=as_json) as form:
            for event in followed_events(live):
                state = state.after(event)
                form.show(state, event)
    except (KeyboardInterrupt, BrokenPipeError):
        note(f"Left. {live.run_id} goes on: `tuner attach {live.run_id}` shows it, `tuner stop {live.run_id}` ends it.")
        return 0
    if state.finished is not None:
        return 0
    return _tell_the_end(live, state)


def _tell_the_end(live: LiveFolder, state: RunState) -> int:
    status = read_note(live.exit, ExitStatus)
    if state.failed is not None:
        note(f"error: {state.failed.message}")
        if state.failed.hint:
            note(f"  try: {state.failed.hint}")
    else:
        note(f"error: the run's process is gone at step {state.step}: {status.text if status else 'nobody saw how'}.")
        for line in last_lines(live.log) or last_lines(live.run_folder / LOG_NAME):
            note(f"  {line}")
    return status.code if status and status.code else EXIT_TRAINING_STOPPED
