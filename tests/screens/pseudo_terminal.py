"""The real app in a real pseudo-terminal: what is typed, what arrives, and a line that can be cut."""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from tests.screens.terminal_screen import TerminalScreen

TUNER = (sys.executable, "-m", "tui_tuner")


class PseudoTerminal:
    """A session of its own, as a login over SSH is."""

    def __init__(self, folder: Path, *arguments: str, size: tuple[int, int] = (24, 80)) -> None:
        """Everything that the app keeps is under `folder`, which is also where it is started."""
        folder.mkdir(parents=True, exist_ok=True)
        self.began = time.perf_counter()
        self._is_hung_up = False
        self.process, self._line = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            surroundings = {name: str(folder / name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "HF_HOME")}
            plain = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TEXTUAL_THEME")}
            environment = {**plain, **surroundings, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
            os.execvpe(TUNER[0], [*TUNER, *arguments], environment)
        fcntl.ioctl(self._line, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.output = b""
        self._screen = TerminalScreen(*size)

    @property
    def shown(self) -> str:
        """What is on the screen now, a line each."""
        return self._screen.text

    @property
    def is_line_mode(self) -> bool:
        """Whether the terminal gathers and shows what is typed, as a shell needs it."""
        return termios.tcgetattr(self._line)[3] & (termios.ICANON | termios.ECHO) == termios.ICANON | termios.ECHO

    def wait_for(self, text: str, seconds: float = 60.0) -> float:
        """Read until `text` was sent, or is on the screen; returns seconds since the start of the process.

        The app sends only what changes, so that a word may be on the screen that was never sent as one.
        """
        end = time.perf_counter() + seconds
        while text.encode() not in self.output and text not in self.shown:
            if time.perf_counter() > end or not self._read(0.05):
                raise AssertionError(f"{text!r} did not arrive; the end was {self.output[-600:]!r}")
        return time.perf_counter() - self.began

    def read_for(self, seconds: float) -> None:
        """Take what arrives in that time, as a terminal does."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0 and self._read(left):
            pass

    def forget(self) -> None:
        while self._read(0.0, is_once=True):
            pass
        self.output = b""

    def type(self, keys: str) -> None:
        os.write(self._line, keys.encode())

    def latency(self, key: str, seconds: float = 5.0) -> float:
        """Seconds from a key to the next output."""
        self.forget()
        began = time.perf_counter()
        self.type(key)
        if not select.select([self._line], [], [], seconds)[0]:
            raise AssertionError(f"nothing came after {key!r}")
        return time.perf_counter() - began

    def hang_up(self) -> None:
        """Cut the line, as a lost connection does."""
        self._is_hung_up = True
        os.close(self._line)

    def kill(self) -> None:
        os.kill(self.process, signal.SIGKILL)
        self.exit_code(10)

    def exit_code(self, seconds: float) -> int | None:
        """As a shell shows it (negative for a signal); None where the process still lives.

        What it still has to say is read: a program whose terminal takes nothing cannot end.
        """
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                return os.waitstatus_to_exitcode(status)
            if not self._is_hung_up:
                self._read(0.05)
            time.sleep(0.05)
        return None

    def _read(self, seconds: float, *, is_once: bool = False) -> bool:
        """Whether the line still stands (or, `is_once`, whether something was there)."""
        if not select.select([self._line], [], [], seconds)[0]:
            return not is_once
        try:
            data = os.read(self._line, 65536)
        except OSError:
            return False
        self.output += data
        self._screen.feed(data)
        return bool(data)
