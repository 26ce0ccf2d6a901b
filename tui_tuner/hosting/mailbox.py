"""Wishes for a run as small files: whoever may write the run's folder may steer it, from any login, over NFS as well.

A wish appears by one rename, so that nobody reads half of it. Files are read, never run, and never trusted.
"""

import logging
import os
import secrets
import stat
import threading
import time
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from tui_tuner.controls import ControlAction, ControlRequest, Controls
from tui_tuner.errors import MachineError, RunError
from tui_tuner.hosting.live_folder import LiveFolder
from tui_tuner.journal import is_alive
from tui_tuner.safe_text import one_line

MAX_WISH_BYTES = 1_000
MAX_WISHES_A_ROUND = 100
POLL_SECONDS = 0.2
WISH = ".json"
PUT_ASIDE = "put-aside"
_LOG = logging.getLogger(__name__)


class Wish(BaseModel):
    """A `ControlRequest` as it lies in a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    action: ControlAction
    value: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _has_its_value(self) -> Self:
        if (self.action == "learning_rate") != (self.value is not None):
            raise ValueError("a learning rate has a factor, and nothing else has one")
        return self


def send(live: LiveFolder, request: ControlRequest) -> None:
    """Drop a wish into a run's mailbox; the run obeys between two steps.

    Raises:
        RunError: nobody would read it, for the run is over.
        MachineError: it cannot be written.
    """
    if not is_alive(live.path):
        raise RunError(f"{live.run_id} is not running.", "`tuner runs` lists the runs and their states.")
    name = f"{time.time_ns():020d}-{os.getpid()}-{secrets.token_hex(4)}"
    fresh, wish = live.mailbox / f".{name}", live.mailbox / f"{name}{WISH}"
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Wish(action=request.action, value=request.value).model_dump_json().encode())
        fresh.replace(wish)
    except OSError as error:
        hint = "Runs are steered by their owner only." if isinstance(error, PermissionError) else ""
        raise MachineError(f"{wish} cannot be written: {error.strerror}.", hint) from error


class MailboxControls:
    """Controls of a run in another process. Each wish raises what `send` raises."""

    def __init__(self, live: LiveFolder) -> None:
        self._live = live

    def pause(self) -> None:
        send(self._live, ControlRequest("pause"))

    def resume(self) -> None:
        send(self._live, ControlRequest("resume"))

    def save_now(self) -> None:
        send(self._live, ControlRequest("save"))

    def evaluate_now(self) -> None:
        send(self._live, ControlRequest("evaluate"))

    def sample_now(self) -> None:
        send(self._live, ControlRequest("sample"))

    def set_learning_rate(self, factor: float) -> None:
        if not 0 < factor < float("inf"):
            raise ValueError(f"learning-rate factor is {factor}; a number above 0 is expected")
        send(self._live, ControlRequest("learning_rate", factor))

    def stop(self) -> None:
        send(self._live, ControlRequest("stop"))

    def abort(self) -> None:
        send(self._live, ControlRequest("abort"))


class MailboxReader:
    """A thread that turns files into calls of `Controls` while a with block lasts."""

    def __init__(self, mailbox: Path, controls: Controls) -> None:
        self._mailbox = mailbox
        self._controls = controls
        self._refused: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._read, name="mailbox", daemon=True)

    def __enter__(self) -> "MailboxReader":
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self.empty()

    def empty(self) -> None:
        """Obey the wishes that lie there, oldest first, and put aside whatever is none."""
        try:
            with os.scandir(self._mailbox) as entries:
                names = sorted(one.name for one in entries if _is_wish(one.name) and one.name not in self._refused)
        except OSError:
            return  # the folder is gone or cannot be reached now; the run must not care
        for name in names[:MAX_WISHES_A_ROUND]:
            self._obey(name)

    def _obey(self, name: str) -> None:
        path = self._mailbox / name
        try:
            wish = Wish.model_validate_json(_read_wish(path))
            path.unlink()
            self._controls.ask(ControlRequest(wish.action, wish.value))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._put_aside(path, error)

    def _put_aside(self, path: Path, error: OSError | ValueError) -> None:
        self._refused.add(path.name)
        _LOG.warning("%s in the mailbox is no wish, and was put aside: %s", one_line(path.name, 80), _reason(error))
        aside = self._mailbox / PUT_ASIDE
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            path.replace(aside / path.name)
        except OSError as problem:
            _LOG.warning("It could not be moved: %s", problem.strerror)


def _is_wish(name: str) -> bool:
    return name.endswith(WISH) and not name.startswith(".")


def _read_wish(path: Path) -> bytes:
    """At most `MAX_WISH_BYTES` of a plain file of this user or of root.

    Raises:
        OSError: it cannot be read.
        ValueError: it is anything else.
    """
    # A pipe must not keep the reader waiting, and a link must not lead elsewhere.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no plain file")
        if facts.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"it belongs to user {facts.st_uid}")
        if facts.st_size > MAX_WISH_BYTES:
            raise ValueError(f"it has {facts.st_size:,} bytes")
        return os.read(descriptor, MAX_WISH_BYTES)
    finally:
        os.close(descriptor)


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, ValidationError):
        return one_line(str(error.errors(include_url=False, include_input=False)[0]["msg"]))
    return one_line(str(error.strerror if isinstance(error, OSError) else error))
