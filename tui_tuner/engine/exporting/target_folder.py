"""Where an export goes: a new folder that appears by one rename, never over anything that is not an export."""

import glob
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tui_tuner.engine.saving.files import complete_folder, file_hash
from tui_tuner.errors import MachineError
from tui_tuner.exports import ExportKind, ExportRequest, WrittenFile
from tui_tuner.places import path_of
from tui_tuner.units import file_size

EXPORT = "export.json"
"""Says what an export is made of; only a folder that has it is ever replaced."""
SMALL_FILES = 1_000_000
"""Kept free beside the weights for configs, card and the ledger."""


def target_folder(request: ExportRequest, kind: ExportKind, source: Path, run: Path | None) -> Path:
    """The folder of one kind."""
    if request.out is not None:
        out = path_of(request.out).absolute()
        return out if len([one for one in request.kinds if one != ExportKind.HUB]) == 1 else out / kind.value
    return run / "exports" / kind.value if run is not None else source.with_name(f"{source.name}-{kind.value}")


def check_target(folder: Path, bytes_needed: int, *, replaces: bool) -> int:
    """Refuse what would overwrite, or not fit. Returns the free bytes.

    Raises:
        MachineError: the folder is there, or its disk has too little room or may not be written.
    """
    if folder.exists() and not (replaces and (folder / EXPORT).is_file()):
        is_export = (folder / EXPORT).is_file()
        raise MachineError(
            f"{folder} is there already.",
            "Give --replace to write that export anew, or choose another --out."
            if is_export
            else "It is no export of tuner, so it is left alone; choose another --out.",
        )
    existing = next(path for path in folder.parents if path.exists())
    if not existing.is_dir():
        raise MachineError(f"{folder} cannot be made: {existing} is a file.", "Choose another --out.")
    free = shutil.disk_usage(existing).free
    if free < bytes_needed + SMALL_FILES:
        raise MachineError(
            f"The disk of {existing} has {file_size(free)} free, the export needs {file_size(bytes_needed)}.",
            "Free some space, or choose another disk with --out.",
        )
    return free


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Fill the folder that is handed out; it gets its name when all is in it and on the disk.

    Raises:
        MachineError: the disk is full or may not be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _clean_up_after_the_dead(folder)
    with complete_folder(folder) as building:
        yield building


def _clean_up_after_the_dead(folder: Path) -> None:
    """What an export to this place left that was killed; one that is under way is left alone."""
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*.*"):
        process, _, ending = left.name.removeprefix(f".{folder.name}.").partition(".")
        if not process.isdigit() or ending not in ("tmp", "old") or Path(f"/proc/{process}").exists():
            continue
        if ending == "old" and not folder.exists():
            left.rename(folder)  # It was killed between putting the earlier export aside and publishing its own.
        else:
            shutil.rmtree(left, ignore_errors=True)


def write_ledger(folder: Path, kind: ExportKind, facts: dict[str, object]) -> tuple[WrittenFile, ...]:
    """Hash every file, write the ledger, and tell what lies there."""
    files = tuple(
        WrittenFile(name=path.name, num_bytes=path.stat().st_size, sha256=file_hash(path))
        for path in sorted(folder.iterdir())
    )
    ledger = {"format": 1, "kind": kind.value, **facts, "files": [file.model_dump() for file in files]}
    (folder / EXPORT).write_text(json.dumps(ledger, indent=2) + "\n", encoding="utf-8")
    return files
