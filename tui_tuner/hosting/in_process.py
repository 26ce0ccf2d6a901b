"""A run in a thread of this process, seen through the same glass as one in a process of its own.

The thread never waits for whoever looks, and keeps the process until the run has ended, whatever becomes of the screen.
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from tui_tuner.controls import Controls
from tui_tuner.errors import EXIT_BUG, EXIT_TRAINING_STOPPED, TunerError
from tui_tuner.events import Phase, RunFailed, RunState, TrainEvent
from tui_tuner.hosting.launching import promised_run_id
from tui_tuner.hosting.notes import ExitStatus
from tui_tuner.hosting.run_view import Attachment, RunView
from tui_tuner.hosting.visiting import with_mailbox
from tui_tuner.places import path_of
from tui_tuner.recipe import Recipe
from tui_tuner.redaction import redacted


class InProcessRun:
    """Starts at once. The front end polls; of the views that it does not fetch in time, only the newest is kept.

    Raises:
        RunError: a run of that name exists.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.run_id = promised_run_id(recipe, path_of(recipe.output.folder))
        self.controls = Controls()
        self._recipe = recipe
        now = time.time()
        attachment = Attachment(attached_at=now)
        self._view = RunView(
            run_id=self.run_id,
            state=RunState(phase=Phase.PLANNING),
            is_alive=True,
            launched_at=now,
            attachment=attachment,
        )
        self._newest: deque[RunView] = deque([self._view], maxlen=1)
        self._thread = threading.Thread(target=self._carry_out, name=f"run {self.run_id}")
        self._thread.start()

    def poll(self) -> RunView | None:
        """The newest view, or None where nothing is new."""
        try:
            return self._newest.pop()
        except IndexError:
            return None

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the end; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _carry_out(self) -> None:
        exit_code, words = EXIT_TRAINING_STOPPED, ""
        try:
            for event in self._events():
                self._show(state=self._view.state.after(event))
            exit_code = 0 if self._view.state.finished else EXIT_TRAINING_STOPPED
        except TunerError as error:
            exit_code = error.exit_code
            self._fail(error, error.message, error.hint)
        except Exception as error:  # a bug must reach the screen, for this thread has no terminal of its own
            exit_code, words = EXIT_BUG, redacted(traceback.format_exc())
            self._fail(error, redacted(str(error)), "This is a bug in tuner.")
            raise SystemExit from error  # which a thread does without a word
        finally:
            status = ExitStatus(code=exit_code, time=time.time()) if exit_code else None
            self._show(is_alive=False, exit=status, log_tail=tuple(words.splitlines()))

    def _events(self) -> Iterator[TrainEvent]:
        from tui_tuner.engine.run import run

        return with_mailbox(run(self._recipe, self.controls, run_id=self.run_id), self.controls)

    def _fail(self, error: Exception, message: str, hint: str) -> None:
        """Unless the run has said so itself."""
        if self._view.state.failed is None:
            failure = RunFailed(error=type(error).__name__, message=message, hint=hint, step=self._view.state.step)
            self._show(state=self._view.state.after(failure))

    def _show(
        self,
        *,
        state: RunState | None = None,
        is_alive: bool = True,
        exit: ExitStatus | None = None,  # noqa: A002 (the view calls it so)
        log_tail: tuple[str, ...] = (),
    ) -> None:
        self._view = replace(
            self._view, state=state or self._view.state, is_alive=is_alive, exit=exit, log_tail=log_tail
        )
        self._newest.append(self._view)
