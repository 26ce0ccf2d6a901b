"""Starts and ends the process that has the model, and carries messages to it and from it. Never waits for it."""

import os
import subprocess
import sys
import threading
from collections import deque
from contextlib import suppress
from pathlib import Path

from tui_tuner.errors import MachineError
from tui_tuner.hosting.chat.messages import ChatEvent, ChatFailed, ChatRequest, chat_event_from_json
from tui_tuner.hosting.launching import PACKAGE_ROOT

HOST = "tui_tuner.hosting.chat.host"
LAST_LINES = 12
END_SECONDS = 5.0


class ChatProcess:
    """One loaded model. It ends with `close`, or with this process, however that ends."""

    def __init__(self, source: str, runs_folder: Path, log: Path, device: str = "auto") -> None:
        """Begin to load. `log` takes what the process prints, anew each time.

        Raises:
            MachineError: the log cannot be written, or no process can be started.
        """
        self.source = source
        self._log = log
        self._events: deque[ChatEvent] = deque()
        self._is_closed = self._has_failed = False
        command = [sys.executable, "-P", "-m", HOST, source, str(runs_folder), device]
        try:
            log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with log.open("wb") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    start_new_session=True,
                    env=_environment(),
                )
        except OSError as error:
            raise MachineError(f"The model's process cannot be started: {error.strerror}.") from error
        self._reader = threading.Thread(target=self._read, name="chat events", daemon=True)
        self._reader.start()

    @property
    def process_id(self) -> int:
        return self._process.pid

    def send(self, request: ChatRequest) -> bool:
        """Whether the request could be sent; where not, a `ChatFailed` comes."""
        try:
            assert self._process.stdin is not None
            self._process.stdin.write(request.model_dump_json().encode() + b"\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # its end was closed, or ours
            return False
        return True

    def poll(self) -> list[ChatEvent]:
        """What came since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def kill(self) -> None:
        """End it at once, without waiting for it."""
        self._is_closed = True
        self._process.kill()

    def close(self) -> None:
        """End it and wait until its memory is free: call it from a thread."""
        self.kill()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._reader.join(END_SECONDS)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                event = chat_event_from_json(line)
            except ValueError:
                continue  # half a line, of a process that was killed
            self._has_failed = self._has_failed or isinstance(event, ChatFailed)
            self._events.append(event)
        code = self._process.wait()
        if not self._is_closed and not self._has_failed:
            self._events.append(self._died(code))

    def _died(self, code: int) -> ChatFailed:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        hint = (
            "Signal 9 is mostly the system's answer to too little memory: choose a smaller model, or free some."
            if code == -9
            else "F4 loads it again."
        )
        return ChatFailed(message=f"The model's process {how}.", hint=hint, detail=self._last_lines())

    def _last_lines(self) -> str:
        try:
            lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LAST_LINES:])


def _environment() -> dict[str, str]:
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
