"""What happens when the terminal goes away: the screen ends at once, and a run in this process goes on without it.

On a hang-up the kernel sends SIGHUP, then SIGCONT; Textual's answer to SIGCONT would start a second driver on the dead
terminal, whose writer blocks for ever. So SIGCONT is ignored first, and the streams are pointed away from the terminal.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType


def leave_on_hang_up(loop: asyncio.AbstractEventLoop, leave: Callable[[], None]) -> None:
    """From the main thread, once the loop runs: `leave` is called in it when the terminal is gone, or on SIGTERM."""

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGCONT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        os.close(nothing)
        loop.call_soon_threadsafe(leave)

    def terminate(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(leave)

    signal.signal(signal.SIGHUP, hang_up)
    signal.signal(signal.SIGTERM, terminate)


def keep_prints_off_the_screen(log: Path) -> None:
    """Send what native code prints into a log, and leave the terminal to the app. Call it before the app runs.

    Raises:
        OSError: the log cannot be written.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    terminal = os.fdopen(os.dup(2), "w", errors="backslashreplace")
    # The streams that Textual draws on.
    sys.__stderr__ = sys.__stdout__ = terminal  # type: ignore[misc]
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
