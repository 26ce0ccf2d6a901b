"""Folders that are either complete or not there, and hashes of what lies on disk."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from tui_tuner.errors import MachineError

BLOCK_BYTES = 65_536
SAMPLED_BLOCKS = 64


@contextmanager
def complete_folder(path: Path) -> Iterator[Path]:
    """Fill the folder that is handed out; on leaving, it becomes `path` by one rename, replacing what was there.

    On an error the half-filled folder is removed and `path` stays as it was; `sweep` removes what a process that was
    killed has left. Only their owner may read the files.

    Raises:
        MachineError: the disk is full or may not be written.
    """
    building = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    try:
        building.mkdir(parents=True, mode=0o700)
        yield building
        for file in building.iterdir():
            file.chmod(0o600 if file.is_file() else 0o700)
            sync(file)
        sync(building)
        replaced = _move_aside(path)
        building.rename(path)
        sync(path.parent)
        if replaced is not None:
            shutil.rmtree(replaced)
    except (OSError, SafetensorError) as error:
        # safetensors wraps what the operating system says into an error of its own.
        reason = error.strerror if isinstance(error, OSError) else None
        raise MachineError(
            f"{path} could not be written: {reason or error}.",
            "Free disk space or choose another output.folder.",
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that no half of it is ever seen under its name."""
    aside = _move_aside(path)
    if aside is not None:
        shutil.rmtree(aside)


def sweep(folder: Path) -> None:
    """Remove what earlier processes left half-written or half-removed in a folder. Only its owner may call this."""
    for pattern in (".*.tmp", ".*.old"):
        for left in folder.glob(pattern):
            shutil.rmtree(left, ignore_errors=True)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, onto the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_hash(path: Path) -> str:
    """sha256 of the whole file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def text_hash(text: str) -> str:
    """sha256 of the text's UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(config: Path, weights: Sequence[Path]) -> str:
    """Identity of a base model: sha256 over config.json and, of each weight file, name, size and sampled blocks.

    64 blocks of 64 KiB, evenly spaced and always with the first and the last, make it quick on hundreds of GB and
    still tell apart any two checkpoints that were trained differently. What it does not see is damage between the
    blocks of a file above 4 MiB: `planning.weight_hashes` knows hashes of whole files.
    """
    digest = hashlib.sha256(config.read_bytes())
    for path in sorted(weights):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        last = max(0, size - BLOCK_BYTES)
        with path.open("rb") as file:
            for index in range(SAMPLED_BLOCKS):
                file.seek(last * index // (SAMPLED_BLOCKS - 1))
                digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()


def _move_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    aside = path.with_name(f".{path.name}.{os.getpid()}.old")
    shutil.rmtree(aside, ignore_errors=True)
    path.rename(aside)
    return aside
