"""Asks the process that knows a tokenizer for the texts of tokens; it is started with the first question."""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tui_tuner.errors import DataError

PROCESS = "tui_tuner.data.looking.token_process"


class TokenReader:
    """One tokenizer's texts, for any thread. The process ends with `close`, or with this one."""

    def __init__(self, tokenizer_folder: Path) -> None:
        self.tokenizer_folder = tokenizer_folder
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def texts(self, ids: Sequence[int]) -> list[str]:
        """What each token adds to those before it.

        Raises:
            DataError: the tokenizer cannot be read.
        """
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", PROCESS, str(self.tokenizer_folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            stdin, stdout = self._process.stdin, self._process.stdout
            if stdin is None or stdout is None:
                raise TypeError("the process was started without pipes")
            try:
                stdin.write(json.dumps([int(one) for one in ids]).encode() + b"\n")
                stdin.flush()
                answer = stdout.readline()
            except BrokenPipeError:
                answer = b""
        if not answer:
            raise DataError(f"The tokens of {self.tokenizer_folder} cannot be shown.", "Look again (r).")
        return [str(text) for text in json.loads(answer)]

    def close(self) -> None:
        """End the process; the next question starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
