"""Watches a run from outside, by pulling: nothing that a watcher does or fails to do reaches the run."""

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tui_tuner.controls import RunControls
from tui_tuner.events import RunState
from tui_tuner.hosting.live_folder import live_folder
from tui_tuner.hosting.mailbox import MailboxControls
from tui_tuner.hosting.notes import ExitStatus, LaunchNote, read_note
from tui_tuner.hosting.run_view import Attachment, RunView
from tui_tuner.hosting.tailing import EventTail, last_lines
from tui_tuner.journal import is_alive
from tui_tuner.journal.writing import EVENTS_NAME, LOG_NAME

POLL_SECONDS = 0.02
"""Time that one poll may take for reading."""
PULSE_SECONDS = 0.5
"""How often the lock is looked at."""
TRACE_SECONDS = 10.0
ALONE_SECONDS = 3 * TRACE_SECONDS


@dataclass(frozen=True, slots=True)
class _Pulse:
    """What is known of the process."""

    is_alive: bool
    exit: ExitStatus | None
    log_tail: tuple[str, ...]


class RunWatcher:
    """Any number of them may watch one run, from any process that may read its folder. One thread polls."""

    def __init__(self, runs_folder: Path, run_id: str) -> None:
        self._live = live_folder(runs_folder, run_id)
        self._early = EventTail(self._live.events)
        self._early_state = RunState()
        self._journal = EventTail(self._live.run_folder / EVENTS_NAME)
        self._journal_state = RunState()
        self._is_caught_up = False
        self._pulse: _Pulse | None = None
        self._next_pulse = 0.0
        self._next_trace = 0.0
        note = read_note(self._live.note, LaunchNote)
        self._launched_at = note.launched_at if note else None
        self._is_resuming = note is not None and note.resume is not None
        self.attachment = Attachment(attached_at=time.time(), alone_since=self._alone_since())

    @property
    def run_id(self) -> str:
        return self._live.run_id

    @property
    def controls(self) -> RunControls:
        """Wishes go through the mailbox; each raises RunError where the run is over."""
        return MailboxControls(self._live)

    def poll(self) -> RunView | None:
        """Read on for at most `POLL_SECONDS`; None where nothing is new."""
        # The process first: what it wrote before it died is then read below.
        has_new_pulse = self._feel_pulse()
        has_news = self._read_on()
        if not (has_new_pulse or has_news) or self._pulse is None:
            return None
        state = self._state()
        return RunView(
            run_id=self.run_id,
            state=state,
            is_alive=self._pulse.is_alive,
            is_caught_up=self._is_caught_up,
            exit=self._pulse.exit,
            log_tail=self._pulse.log_tail,
            launched_at=self._launched_at or state.started,
            attachment=self.attachment,
            num_unreadable=self._journal.num_unreadable,
        )

    def _read_on(self) -> bool:
        """Whether the state changed, or all of it has been read now."""
        was_caught_up, has_news = self._is_caught_up, False
        events = self._journal.read(POLL_SECONDS)
        if events is None:
            self._journal_state, has_news = RunState(), True
        elif events:
            self._journal_state, has_news = self._journal_state.after_all(events), True
        if not self._is_in_journal() and (early := self._early.read(POLL_SECONDS)):
            self._early_state, has_news = self._early_state.after_all(early), True
        self._is_caught_up = self._journal.is_at_end
        return has_news or self._is_caught_up != was_caught_up

    def _is_in_journal(self) -> bool:
        """Whether what was launched writes its journal by now. A resumed run has one from before."""
        if not self._is_resuming:
            return self._journal.has_begun
        return any(one.time >= (self._launched_at or 0.0) for one in self._journal_state.resumed)

    def _state(self) -> RunState:
        if self._is_in_journal():
            return self._journal_state
        if not self._is_resuming:
            return self._early_state
        early = self._early_state
        return replace(
            self._journal_state, phase=early.phase, progress=early.progress, failed=early.failed, finished=None
        )

    def _feel_pulse(self) -> bool:
        """Whether the process lives now and did not before, or the other way round."""
        now = time.monotonic()
        if now < self._next_pulse:
            return False
        self._next_pulse = now + PULSE_SECONDS
        if now >= self._next_trace:
            self._next_trace = now + TRACE_SECONDS
            self._leave_a_trace()
        before, self._pulse = self._pulse, self._look()
        return self._pulse != before

    def _look(self) -> _Pulse:
        exit_status = read_note(self._live.exit, ExitStatus)
        is_living = exit_status is None and (is_alive(self._live.path) or is_alive(self._live.run_folder))
        if is_living or (exit_status is None and self._journal_state.finished):
            return _Pulse(is_living, None, ())
        return _Pulse(is_living, exit_status, self._last_words())

    def _last_words(self) -> tuple[str, ...]:
        return last_lines(self._live.log) or last_lines(self._live.run_folder / LOG_NAME)

    def _alone_since(self) -> float | None:
        try:
            seen = self._live.watched.stat().st_mtime
        except OSError:
            return self._launched_at
        return seen if time.time() - seen > ALONE_SECONDS else None

    def _leave_a_trace(self) -> None:
        """For the next one who attaches. Who may not write here leaves none."""
        try:
            descriptor = os.open(self._live.watched, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        os.utime(descriptor)
        os.close(descriptor)
