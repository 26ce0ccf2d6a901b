"""The small files of a live folder as checked values: who launched a run, and how its process ended."""

import time
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

LaunchMode = Literal["detached", "foreground"]
MAX_NOTE_BYTES = 64_000


class LaunchNote(BaseModel):
    """Written before the run starts."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    run_id: str
    mode: LaunchMode
    launched_at: float = Field(default_factory=time.time)
    model: str = ""
    """As the recipe names it."""
    resume: str | None = None
    """Folder of the run that is gone on with; None for a new one."""
    accept: bool = False
    """Whether it goes on although something has changed."""


class ExitStatus(BaseModel):
    """How the engine's process ended: with a code, or by a signal."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    code: int | None = None
    signal: str | None = None
    """"SIGKILL"; None where the process ended by itself."""
    time: float

    @property
    def text(self) -> str:
        """In words, for a person."""
        if self.signal == "SIGKILL":
            return "killed by SIGKILL: by hand, or because the machine ran out of memory"
        if self.signal is not None:
            return f"ended by {self.signal}"
        return "ended well" if self.code == 0 else f"ended with exit code {self.code}"


Note = TypeVar("Note", LaunchNote, ExitStatus)


def read_note(path: Path, kind: type[Note]) -> Note | None:
    """The note; None where there is none, or nothing that can be made sense of."""
    try:
        with path.open("rb") as file:
            return kind.model_validate_json(file.read(MAX_NOTE_BYTES))
    except (OSError, ValidationError):
        return None
