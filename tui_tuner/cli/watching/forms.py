"""The three forms that a run is shown in while it goes on. Each takes events one by one, wherever they come from."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tui_tuner.cli.terminal import console, print_line, show
from tui_tuner.cli.views.lines import lines_of, phase_line, phase_start_line, step_line
from tui_tuner.cli.views.moving import moving_lines
from tui_tuner.cli.views.result import result_blocks
from tui_tuner.events import PhaseStarted, RunFinished, RunState, StepFinished, TrainEvent

REFRESHES_PER_SECOND = 4
PLAIN_STEP_LINES = 20


class RunForm(Protocol):
    def show(self, state: RunState, event: TrainEvent, /) -> None:
        """Draw one event; `state` includes it. Raises OSError where the terminal or the pipe is gone."""

    def notice(self, text: str) -> None:
        """Say something from within a signal handler."""


@contextmanager
def open_form(*, as_json: bool) -> Iterator[RunForm]:
    """The form that suits standard output; a terminal is left as it was found."""
    if as_json:
        yield JsonForm()
    elif console().is_terminal:
        form = TerminalForm(console())
        with form.live:
            yield form
    else:
        yield PlainForm()


class JsonForm:
    """Exactly the events, one JSON object a line."""

    def show(self, _state: RunState, event: TrainEvent) -> None:
        print_line(event.model_dump_json())

    def notice(self, text: str) -> None:
        _write_now(text)


class PlainForm:
    """Lines for a pipe or a log file: no escape codes, nothing that moves, and one line for one event."""

    def show(self, state: RunState, event: TrainEvent) -> None:
        for line in self._lines(state, event):
            if isinstance(line, Text):
                print_line(line.plain.rstrip())
            else:
                show(line)

    def notice(self, text: str) -> None:
        _write_now(text)

    def _lines(self, state: RunState, event: TrainEvent) -> Iterator[RenderableType]:
        if isinstance(event, PhaseStarted):
            yield phase_start_line(event.phase, event.detail)
        elif isinstance(event, StepFinished):
            if _is_shown(event.step, state.total_steps):
                yield step_line(state, event)
        else:
            yield from lines_of(state, event)
        if isinstance(event, RunFinished):
            yield Group("", *result_blocks(state))


class TerminalForm:
    """Lines that stay, and below them one that moves."""

    def __init__(self, terminal: Console) -> None:
        self._terminal = terminal
        self._state = RunState()
        self._notice = ""
        self._phase_began = time.monotonic()
        self.live = Live(
            console=terminal, get_renderable=self._moving, refresh_per_second=REFRESHES_PER_SECOND, transient=True
        )

    def show(self, state: RunState, event: TrainEvent) -> None:
        before, self._state = self._state, state
        if isinstance(event, PhaseStarted | RunFinished):
            if before.phase is not None:
                self.live.console.print(phase_line(before.phase, time.monotonic() - self._phase_began))
            self._phase_began = time.monotonic()
        for line in lines_of(state, event):
            self.live.console.print(line)
        if isinstance(event, RunFinished):
            self.live.console.print(Group("", *result_blocks(state)))

    def notice(self, text: str) -> None:
        self._notice = text

    def _moving(self) -> RenderableType:
        elapsed = time.monotonic() - self._phase_began
        return moving_lines(self._state, elapsed, self._notice, self._terminal.width)


def _is_shown(step: int, total: int | None) -> bool:
    return step == 1 or step == total or step % max(1, (total or 0) // PLAIN_STEP_LINES) == 0


def _write_now(text: str) -> None:
    """Straight to stderr: a handler may have interrupted a half-done write of Python's own stream."""
    os.write(2, f"{text}\n".encode())
