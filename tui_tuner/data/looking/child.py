"""Starts and ends the process that writes a look, and keeps the folders of looks few."""

import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel

from tui_tuner.data.looking.files import LookState, read_state, write_state
from tui_tuner.data.looking.request import REQUEST_NAME
from tui_tuner.errors import MachineError

PROCESS = "tui_tuner.data.looking.process"
ERRORS_NAME = "errors.txt"
MOST_LOOKS = 6
END_SECONDS = 5.0


class LookProcess:
    """A process that writes one folder. It ends when this one does, however that is."""

    def __init__(self, folder: Path, request: BaseModel) -> None:
        """Clear the folder and begin.

        Raises:
            MachineError: the folder cannot be written, or no process can be started.
        """
        self.folder = folder
        try:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700, parents=True)
            (folder / REQUEST_NAME).write_text(request.model_dump_json(), encoding="utf-8")
            with (folder / ERRORS_NAME).open("wb") as errors:
                self._process = subprocess.Popen(
                    # -P: a module in the folder where tuner is called must not stand in for one of ours.
                    [sys.executable, "-P", "-m", PROCESS, str(folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                )
        except OSError as error:
            hint = "The labels that the app shows are kept there; make room, or mend the permissions."
            raise MachineError(f"{folder} cannot be written: {error.strerror}.", hint) from error

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """Kill it, whatever it is at. What it wrote is left."""
        self._process.kill()
        self._process.wait(END_SECONDS)
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def settle(self) -> None:
        """When it has ended: where it did so without a word, say so in its state."""
        state = read_state(self.folder)
        if state is not None and state.stage != "running":
            return
        said = (self.folder / ERRORS_NAME).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        message = f"The check of the labels ended with code {self._process.poll()}. {said[-1] if said else ''}".strip()
        write_state(self.folder, LookState(stage="failed", message=message, hint="Look again (r)."))


def is_complete(folder: Path) -> bool:
    """Whether an earlier process wrote the whole folder; its age starts anew."""
    state = read_state(folder)
    if state is None or state.stage != "done":
        return False
    with suppress(OSError):
        folder.touch()
    return True


def forget_old_looks(folder: Path, kept: str) -> None:
    """Delete all but the last few looks of a folder, and unfinished ones; `kept` stays whatever it is."""
    with suppress(OSError):
        looks = sorted((one for one in folder.iterdir() if one.name != kept), key=lambda one: one.stat().st_mtime)
        for number, look in enumerate(reversed(looks)):
            if number >= MOST_LOOKS - 1:
                shutil.rmtree(look, ignore_errors=True)
