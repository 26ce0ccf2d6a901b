"""Writes a run's folder. Only the process that trains holds a `RunJournal`; everyone else reads."""

import errno
import mmap
import os
import re
import shutil
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tui_tuner.errors import MachineError, RunError, TunerError
from tui_tuner.events import (
    CheckpointSaved,
    ProofFinished,
    RunFailed,
    RunFinished,
    RunResumed,
    TrainEvent,
    event_from_json,
)
from tui_tuner.journal.lock import acquire_lock
from tui_tuner.plan import RunPlan
from tui_tuner.redaction import redacted

EVENTS_NAME = "events.jsonl"
PLAN_NAME = "plan.json"
RECIPE_NAME = "recipe.toml"
LOG_NAME = "log.txt"
CERTIFICATE_NAME = "certificate.json"
MAX_ID_LENGTH = 64
# These mark work that must not be lost with the machine; a step that was not saved is lost anyway.
SYNCED_EVENTS = (CheckpointSaved, RunResumed, ProofFinished, RunFinished, RunFailed)


class RunJournal:
    """The open folder of a living run. Use `create`; leave it by `close` or a with block. One thread writes."""

    def __init__(self, folder: Path, lock: int, events: int) -> None:
        self.folder = folder
        self._lock = lock
        self._events = events
        self._size = 0

    @classmethod
    def create(cls, runs_folder: Path, run_id: str, recipe_toml: str, plan: RunPlan) -> Self:
        """Make `runs_folder/run_id`, readable by its owner only, and lock it. On an error nothing is left behind.

        Raises:
            RunError: a run of that name exists.
            MachineError: the folder cannot be written.
        """
        folder, building = runs_folder / run_id, runs_folder / f".{run_id}.{os.getpid()}.tmp"
        try:
            runs_folder.mkdir(parents=True, exist_ok=True)
            if folder.exists():
                raise FileExistsError
            shutil.rmtree(building, ignore_errors=True)
            building.mkdir(mode=0o700)
            journal = cls._fill(building, recipe_toml, plan)
            # Whoever sees the folder sees all of it, also if this process dies here.
            building.rename(folder)
        except FileExistsError as error:
            raise _exists(folder, runs_folder) from error
        except OSError as error:
            raise _cannot_write(folder, error) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
        journal.folder = folder
        return journal

    @classmethod
    def _fill(cls, folder: Path, recipe_toml: str, plan: RunPlan) -> Self:
        lock = acquire_lock(folder)
        try:
            _write_private(folder / RECIPE_NAME, recipe_toml)
            (folder / LOG_NAME).touch(mode=0o600)
            (folder / "checkpoints").mkdir(mode=0o700)
            events = os.open(folder / EVENTS_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            journal = cls(folder, lock, events)
            journal.write_plan(plan)
        except (OSError, TunerError):
            os.close(lock)
            raise
        return journal

    @classmethod
    def reopen(cls, folder: Path) -> Self:
        """Lock the folder of a run that ended, to go on writing in it. A torn last line is cut off.

        Raises:
            RunError: a process holds the folder.
            MachineError: it cannot be written.
        """
        try:
            lock = acquire_lock(folder)
        except OSError as error:
            raise _cannot_write(folder, error) from error
        try:
            events = os.open(folder / EVENTS_NAME, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            journal = cls(folder, lock, events)
            journal._size = _end_of_last_line(events)
            os.ftruncate(events, journal._size)
        except OSError as error:
            os.close(lock)
            raise _cannot_write(folder / EVENTS_NAME, error) from error
        return journal

    @property
    def log_path(self) -> Path:
        """Where tracebacks and the chatter of libraries go."""
        return self.folder / LOG_NAME

    @property
    def checkpoints_folder(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def adapter_folder(self) -> Path:
        return self.folder / "adapter"

    def append(self, event: TrainEvent) -> None:
        """Write one line. It is whole in the file when this returns, and on the disk where work was saved.

        Raises:
            MachineError: it cannot be written; the file is as it was before.
        """
        line = redacted(event.model_dump_json()).encode() + b"\n"
        try:
            _write_all(self._events, line)
            if isinstance(event, SYNCED_EVENTS):
                os.fsync(self._events)
        except OSError as error:
            # A torn line would make garbage of the next one, such as the note that the disk is full.
            os.ftruncate(self._events, self._size)
            raise _cannot_write(self.folder / EVENTS_NAME, error) from error
        self._size += len(line)

    @property
    def position(self) -> int:
        """Byte offset at which the next event will stand."""
        return self._size

    def sync(self) -> None:
        """Bring everything that was appended onto the disk.

        Raises:
            MachineError: the disk is gone.
        """
        try:
            os.fsync(self._events)
        except OSError as error:
            raise _cannot_write(self.folder / EVENTS_NAME, error) from error

    def event_at(self, place: int) -> tuple[TrainEvent | None, int]:
        """The event whose line begins at a byte offset, and where the line ends; None where there is none."""
        with (self.folder / EVENTS_NAME).open("rb") as file:
            file.seek(place)
            line = file.readline()
        try:
            return event_from_json(line), place + len(line)
        except ValueError:
            return None, place

    def write_plan(self, plan: RunPlan) -> None:
        """Replace plan.json in one move.

        Raises:
            MachineError: the disk is full or gone.
        """
        self._replace(PLAN_NAME, plan.model_dump_json(indent=2))

    def write_certificate(self, content: str) -> None:
        """Keep what the labels of this run are, as JSON: before anything is trained, and where a change is accepted.

        Raises:
            MachineError: the disk is full or gone.
        """
        self._replace(CERTIFICATE_NAME, content)

    def _replace(self, name: str, content: str) -> None:
        fresh = self.folder / f"{name}.new"
        try:
            _write_private(fresh, redacted(content))
            fresh.replace(self.folder / name)
        except OSError as error:
            raise _cannot_write(self.folder / name, error) from error

    def close(self) -> None:
        """Let go of the folder; a run without RunFinished or RunFailed then counts as interrupted."""
        if self._events >= 0:
            os.close(self._events)
            os.close(self._lock)
            self._events = self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def name_taken(folder: Path) -> RunError:
    """What is said of a run's name where there is a folder of that name."""
    return RunError(f"{folder} exists already.", "Choose another output.name, or leave it out.")


def new_run_id(model: str, runs_folder: Path) -> str:
    """A free name such as "20260801-142501-Qwen3-8B", from the time and the last part of the model's name.

    A folder that is called "model" says nothing: the one it is in does.
    """
    parts = [part for part in model.split("/") if part]
    last = parts[-2] if len(parts) > 1 and parts[-1] == "model" else "".join(parts[-1:])
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "model"
    stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"[: MAX_ID_LENGTH - 4]
    candidate, number = stem, 1
    while (runs_folder / candidate).exists():
        number += 1
        candidate = f"{stem}-{number}"
    return candidate


def _end_of_last_line(descriptor: int) -> int:
    if not os.fstat(descriptor).st_size:
        return 0
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as text:
        return text.rfind(b"\n") + 1


def _write_private(path: Path, content: str) -> None:
    """A text file that only its owner may read."""
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(content, encoding="utf-8")


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _exists(folder: Path, runs_folder: Path) -> RunError | MachineError:
    if not runs_folder.is_dir():
        return MachineError(f"{runs_folder} is a file, not a folder for runs.", "Choose another output.folder.")
    return name_taken(folder)


def _cannot_write(path: Path, error: OSError) -> MachineError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "Free some space, or choose an output.folder on another disk." if full else "Choose another output.folder."
    return MachineError(f"{path} cannot be written: {error.strerror}.", hint)
