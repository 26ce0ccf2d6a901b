"""The list of a checkpoint's files with their hashes, written last: a folder is a checkpoint only if all of it holds.

Any flipped bit is found: in a file by its hash, in the list itself because it must be exactly what we would write.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from tui_tuner.engine.saving.files import file_hash, sync
from tui_tuner.errors import RunError

CHECKPOINT = "checkpoint.json"
CHECKPOINT_VERSION = 1
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class SavedFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sha256: str


class CheckpointManifest(BaseModel):
    """What lies in a checkpoint's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = CHECKPOINT_VERSION
    step: int
    files: Annotated[dict[FileName, SavedFile], Field(min_length=1)]


def write_manifest(folder: Path, step: int) -> None:
    """Bring every file of the folder onto the disk, and list it."""
    files = {}
    for path in sorted(folder.iterdir()):
        sync(path)
        files[path.name] = SavedFile(size=path.stat().st_size, sha256=file_hash(path))
    manifest = CheckpointManifest(step=step, files=files)
    (folder / CHECKPOINT).write_bytes(_as_bytes(manifest))


def verify(folder: Path) -> CheckpointManifest:
    """Read a checkpoint's list and compare every file with it. Files that it does not name are left alone.

    Raises:
        RunError: says what is not as it was written.
    """
    try:
        content = (folder / CHECKPOINT).read_bytes()
        manifest = CheckpointManifest.model_validate_json(content)
    except FileNotFoundError as error:
        raise RunError(f"{folder} is no checkpoint: it has no {CHECKPOINT}.") from error
    except (OSError, ValidationError) as error:
        raise RunError(f"{folder / CHECKPOINT} is damaged.") from error
    if content != _as_bytes(manifest) or manifest.format != CHECKPOINT_VERSION:
        raise RunError(f"{folder / CHECKPOINT} is damaged, or of another version of tuner.")
    for name, saved in manifest.files.items():
        _compare(folder / name, saved)
    return manifest


def _compare(path: Path, saved: SavedFile) -> None:
    try:
        size = path.lstat().st_size
        if size != saved.size:
            raise RunError(f"{path} is damaged: it has {size:,} bytes, {saved.size:,} were written.")
        if file_hash(path) != saved.sha256:
            raise RunError(f"{path} is damaged: its content is not what was written.")
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing.") from error
    except OSError as error:
        raise RunError(f"{path} cannot be read: {error.strerror}.") from error


def _as_bytes(manifest: CheckpointManifest) -> bytes:
    return manifest.model_dump_json(indent=1).encode() + b"\n"
