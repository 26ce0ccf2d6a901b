"""One renderer process, as its parent sees it: asked and answered through pipes, and its death explained."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress

from tui_tuner.data.rendering.frames import Answer, Refusal, Request, read_answer, write_frame
from tui_tuner.data.rendering.limits import REPLACE_IT
from tui_tuner.errors import DataError

WORKER = "tui_tuner.data.rendering.worker"
KEPT_VARIABLES = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONHOME", "TZ")
"""Of the environment a renderer sees only these: no tokens, no names of machines."""
PIPE_SIZE = 2**18
"""Bytes that are read at once, and that may wait to be: a renderer need not stand still while its parent is busy."""
TIMERS = (signal.SIGPROF, signal.SIGALRM)


class RendererProcess:
    """Starts at once; the first answer comes when it is ready."""

    def __init__(self) -> None:
        kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (open for as long as the process)
        self._process = subprocess.Popen(
            # -P: a module in the folder where tuner is called must not stand in for one of ours.
            [sys.executable, "-P", "-m", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=PIPE_SIZE,
            env={**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def ask(self, request: Request, subjects: Sequence[str]) -> list[Answer]:
        """Send a request, and read one answer for each of the subjects, which name what is rendered.

        Raises:
            DataError: the template was refused, or broke a limit; the subject at which it did is named.
        """
        answers: list[Answer] = []
        try:
            self._send(request)
            for subject in subjects:
                answer = self._read()
                if answer is None:
                    raise self._death(subject)
                if isinstance(answer, Refusal):
                    message = f"{answer.message} on {subject}." if answer.goes_on_with_subject else answer.message
                    raise DataError(message, answer.hint)
                answers.append(answer)
        except BaseException:
            self.end()  # what it may still answer belongs to nobody
            raise
        return answers

    def end(self) -> None:
        """Kill it, whatever it is at. Safe to call again, and from another thread."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # a request that it did not live to read
                self._process.stdin.close()

    def _send(self, request: Request) -> None:
        if self._process.stdin is None:
            raise TypeError("the renderer was started without an input")
        try:
            write_frame(self._process.stdin, request)
        except (BrokenPipeError, ConnectionResetError):
            return  # it has died; reading its answer will find out why

    def _read(self) -> Answer | None:
        if self._process.stdout is None:
            raise TypeError("the renderer was started without an output")
        try:
            return read_answer(self._process.stdout)
        except (pickle.UnpicklingError, ValueError, EOFError, AttributeError, IndexError) as error:
            raise DataError(f"The chat template took over its renderer ({error}).", REPLACE_IT) from error

    def _death(self, subject: str) -> Exception:
        code = self._process.wait()
        if -code in TIMERS:
            return DataError(f"The chat template computes without end on {subject}.", REPLACE_IT)
        if code < 0:
            name = signal.Signals(-code).name
            return DataError(f"The chat template made its renderer crash ({name}) on {subject}.", REPLACE_IT)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip()
        return RuntimeError(f"the renderer ended with code {code} on {subject}: {said[-2000:]}")
