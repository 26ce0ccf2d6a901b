"""What Ctrl-C, a TERM signal and a hang-up mean to a run: finish the step, save, end. Ctrl-C twice ends at once."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from tui_tuner.controls import Controls

STOPPING = "Stopping after this step and saving. Ctrl-C again ends at once."
ABORTING = "Ending at once. What was saved before stays valid."


class Interruption:
    """Which signal arrived, as the exit code that it means; 0 as long as none did."""

    def __init__(self) -> None:
        self.exit_code = 0


@contextmanager
def stop_on_signals(controls: Controls, notice: Callable[[str], None]) -> Iterator[Interruption]:
    """While the block runs, signals fill `controls`. `notice` is called from the handler: it must only take note.

    A second Ctrl-C raises KeyboardInterrupt in the main thread.
    """
    interruption = Interruption()

    def handle(number: int, _frame: FrameType | None) -> None:
        is_second = number == signal.SIGINT and interruption.exit_code == 128 + number
        interruption.exit_code = 128 + number
        if is_second:
            notice(ABORTING)
            controls.abort()
            raise KeyboardInterrupt
        notice(STOPPING)
        controls.stop()

    # nohup ignores hang-ups, and whoever asked for that meant it.
    handled = [one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.signal(one, handle) for one in handled}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
