"""An export in a process of its own: it goes on when the app is left, and the next app finds it.

`FOLDER/` holds request.json, events.jsonl (what it says), log.txt (what it prints) and the lock that it lives by.
"""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from tui_tuner.errors import MachineError
from tui_tuner.exports import ExportEvent, ExportFailed, ExportFinished, ExportRequest, export_event_from_json
from tui_tuner.hosting.launching import PACKAGE_ROOT
from tui_tuner.journal.lock import acquire_lock, is_alive

REQUEST_NAME, EVENTS_NAME, LOG_NAME, PROCESS_NAME = "request.json", "events.jsonl", "log.txt", "process"
LAST_LINES = 12


class ExportJob:
    """Follows one export. Cheap to poll; any one thread."""

    def __init__(self, folder: Path, request: ExportRequest) -> None:
        self.folder = folder
        self.request = request
        self._offset = 0
        self._ended: set[str] = set()
        self._is_over = False
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, request: ExportRequest, folder: Path, *, is_dry_run: bool = False) -> "ExportJob":
        """Begin; what an earlier job left in the folder goes.

        Raises:
            RunError: an export goes on there.
            MachineError: the folder cannot be written, or no process can be started.
        """
        job = cls(folder, request)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = acquire_lock(folder)
        except OSError as error:
            raise MachineError(f"{folder} cannot be written: {error.strerror}.") from error
        try:
            (folder / REQUEST_NAME).write_text(request.model_dump_json(), encoding="utf-8")
            with (folder / EVENTS_NAME).open("wb") as events, (folder / LOG_NAME).open("wb") as log:
                job._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tui_tuner", *arguments(request, is_dry_run=is_dry_run)],
                    stdin=subprocess.DEVNULL,
                    stdout=events,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock,),
                    env=_environment(),
                )
            (folder / PROCESS_NAME).write_text(str(job._process.pid), encoding="utf-8")
        except OSError as error:
            raise MachineError(f"The export cannot be started: {error.strerror}.") from error
        finally:
            os.close(lock)  # the child has it
        return job

    @classmethod
    def found(cls, folder: Path) -> "ExportJob | None":
        """The job that was begun there last, living or over; None where there is none that can be read."""
        try:
            request = ExportRequest.model_validate_json((folder / REQUEST_NAME).read_text(encoding="utf-8"))
        except (OSError, ValidationError):
            return None
        return cls(folder, request)

    @property
    def is_alive(self) -> bool:
        if self._process is not None:
            return self._process.poll() is None
        return is_alive(self.folder)

    @property
    def is_over(self) -> bool:
        """Whether all that it said was handed out, and no more comes."""
        return self._is_over

    def poll(self) -> list[ExportEvent]:
        """What was said since the last call; a death without a word becomes an `ExportFailed`."""
        if self._is_over:
            return []
        was_alive = self.is_alive  # before reading: what it wrote last must not be missed
        events = self._read()
        self._ended |= {event.export for event in events if isinstance(event, ExportFinished | ExportFailed)}
        if not was_alive:
            self._is_over = True
            code = self._process.poll() if self._process is not None else None
            if code not in (0, None) and not any(isinstance(event, ExportFailed) for event in events):
                events += self._deaths(code)
        return events

    def cancel(self) -> None:
        """Kill it with all that it started. What it was writing is not there then; what was finished stays."""
        try:
            process_id = int((self.folder / PROCESS_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.killpg(process_id, signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def forget(self) -> None:
        """Remove what a job that is over left; what it exported is elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> list[ExportEvent]:
        try:
            with (self.folder / EVENTS_NAME).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return []
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
        self._offset += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line)) is not None]

    def _deaths(self, code: int | None) -> list[ExportEvent]:
        if any(kind.value in self._ended for kind in self.request.kinds[-1:]):
            return []
        how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        kind = next((one for one in self.request.kinds if one.value not in self._ended), self.request.kinds[0])
        return [ExportFailed(export=kind, error="", message=f"The export ended with {how}.", hint=self._last_lines())]

    def _last_lines(self) -> str:
        try:
            lines = (self.folder / LOG_NAME).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-LAST_LINES:])


def arguments(request: ExportRequest, *, is_dry_run: bool = False) -> list[str]:
    """The command line of `tuner` that carries the request out and says so in JSON."""
    words = ["export", request.source, "--to", ",".join(request.kinds), "--json", "--folder", request.runs_folder]
    words += ["--quantization", request.quantization, "--base", request.base, "--device", request.device]
    for option, value in (("--out", request.out), ("--base-model", request.base_model), ("--repo", request.repository)):
        words += [option, value] if value is not None else []
    flags = {
        "--public": not request.is_private,
        "--replace": request.replaces,
        "--accept-template": request.accepts_template,
        "--dry-run": is_dry_run,
    }
    return words + [flag for flag, is_set in flags.items() if is_set]


def _event(line: bytes) -> ExportEvent | None:
    try:
        return export_event_from_json(line)
    except ValueError:
        return None  # not ours: a library printed it


def _environment() -> dict[str, str]:
    paths = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
