"""What a folder offers to somebody who looks for data: folders, data files with sizes. Reads names, no rows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.text import Text

from tui_tuner.data.sources.files import HUB_ID, SUFFIXES
from tui_tuner.errors import MachineError
from tui_tuner.places import path_of
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks
from tui_tuner.units import file_size

DATA_SUFFIXES = tuple(SUFFIXES)
SAVED_NAMES = ("dataset_dict.json", "state.json")
SIZE_WIDTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One line of the picker."""

    kind: Literal["up", "folder", "file", "all", "hub"]
    name: str
    value: str
    """What is chosen, or the folder that is entered."""
    size: int = 0
    """Bytes of a file; files of "all"."""

    @property
    def is_entered(self) -> bool:
        """Whether choosing it goes there instead of taking it."""
        return self.kind in ("up", "folder")


def folder_entries(folder: Path, suffixes: Sequence[str] = DATA_SUFFIXES) -> tuple[FileEntry, ...]:
    """The folder above, the folders in it, then its files of those kinds.

    Raises:
        MachineError: the folder cannot be read.
    """
    folders, files = [], []
    try:
        with os.scandir(folder) as found:
            for one in found:
                if one.name.startswith("."):
                    continue
                if _is_folder(one):
                    folders.append(FileEntry(kind="folder", name=one.name, value=str(folder / one.name)))
                elif _has_suffix(one.name, suffixes):
                    size = one.stat().st_size
                    files.append(FileEntry(kind="file", name=one.name, value=str(folder / one.name), size=size))
    except OSError as error:
        raise MachineError(f"{folder} cannot be read: {error.strerror}.", "Choose another folder.") from error
    up = FileEntry(kind="up", name="..", value=str(folder.parent))
    is_data_folder = suffixes == DATA_SUFFIXES and (len(files) > 1 or _is_saved(folder))
    whole = [FileEntry(kind="all", name="all of this folder", value=str(folder), size=len(files))]
    return (up, *(whole if is_data_folder else ()), *_sorted(folders), *_sorted(files))


def matching(entries: Sequence[FileEntry], text: str, *, takes_hub: bool = True) -> tuple[FileEntry, ...]:
    """Those whose name holds every word of the text; a text that could be a hub id is offered as one."""
    words = text.lower().split()
    found = tuple(one for one in entries if all(word in one.name.lower() for word in words))
    name = text.strip()
    is_hub = takes_hub and "/" in name and HUB_ID.fullmatch(name) is not None
    hub = (FileEntry(kind="hub", name=name, value=name),) if is_hub else ()
    return (*(one for one in found if words or one.kind), *hub)


def typed_path(text: str, folder: Path) -> tuple[Path, str] | None:
    """The folder that a typed path is in and what is typed of a name there; None where the text is only a name."""
    text = text.strip()
    if not text.startswith(("/", "~", "./", "../")):
        return None
    path = folder / path_of(text)
    if text.endswith("/") or text in ("~", ".."):
        return path, ""
    return path.parent, path.name


def entry_line(entry: FileEntry, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A name, and a size at the right."""
    sign = {"up": glyphs.up, "folder": glyphs.closed, "file": " ", "all": glyphs.marked, "hub": glyphs.arrow}[
        entry.kind
    ]
    words = {"file": file_size(entry.size), "all": f"{entry.size} files" if entry.size else "saved", "hub": "hub"}
    right = words.get(entry.kind, "")
    room = max(8, width - SIZE_WIDTH - 2)
    line = Text(f"{sign} ", style=inks.muted, no_wrap=True)
    name = entry.name + ("/" if entry.kind == "folder" else "")
    line.append(one_line(name, room).ljust(room), style=inks.plain if entry.kind in ("file", "hub") else inks.train)
    line.append(right.rjust(SIZE_WIDTH), style=inks.muted)
    return line


def _sorted(entries: list[FileEntry]) -> list[FileEntry]:
    return sorted(entries, key=lambda one: one.name.lower())


def _is_folder(one: "os.DirEntry[str]") -> bool:
    try:
        return one.is_dir()
    except OSError:
        return False


def _has_suffix(name: str, suffixes: Sequence[str]) -> bool:
    name = name.lower().removesuffix(".gz")
    return name.endswith(tuple(suffixes))


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in SAVED_NAMES)
