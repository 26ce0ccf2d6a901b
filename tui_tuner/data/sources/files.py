"""Which files a data source stands for: a file, a folder of files, a saved data set, or none because it is on the hub.

Only names and small descriptions are read here, never rows.
"""

import difflib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tui_tuner.data.sources.watched import FileWatch
from tui_tuner.errors import DataError
from tui_tuner.places import is_file, is_folder, is_there, path_of
from tui_tuner.recipe import DataSource

FileKind = Literal["jsonl", "json", "csv", "tsv", "parquet", "txt", "arrow"]

SUFFIXES: dict[str, FileKind] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".txt": "txt",
}
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(:[\w.-]+)?")
LONGEST_HUB_ID = 256
"""Owner and name have at most 96 characters each; a configuration may follow."""
MAX_NAME_BYTES = 255
KNOWN_FILES = ".jsonl, .json, .csv, .tsv, .parquet or .txt, each also .gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of rows."""

    path: Path
    kind: FileKind
    is_gzipped: bool = False
    watch: FileWatch | None = None
    """Sees every byte of a text file as it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubDataset:
    """A data set that `datasets` fetches, or finds in its cache."""

    repo: str
    config: str | None
    split: str


def find_files(source: DataSource) -> tuple[SourceFile, ...] | HubDataset:
    """The files of a source, in the order in which they are read.

    Raises:
        DataError: nothing is there, or nothing that can be read.
    """
    path = path_of(source.path)
    if is_file(path):
        return (_known_file(path),)
    if is_folder(path):
        return _files_of_folder(path, source.split)
    if is_there(path):
        raise DataError(f"{path} is neither a file nor a folder.", "Name a data file.")
    if (
        len(source.path) <= LONGEST_HUB_ID
        and HUB_ID.fullmatch(source.path)
        and _kind_of(path) is None
        and not _looks_local(path)
    ):
        repo, _, config = source.path.partition(":")
        return HubDataset(repo=repo, config=config or None, split=source.split)
    raise DataError(f"{path} does not exist.", _near_files(path))


def _looks_local(path: Path) -> bool:
    """Whether a missing two-part name is rather a mistyped path: its folder is here."""
    return len(path.parts) > 1 and is_folder(Path(path.parts[0]))


def _known_file(path: Path) -> SourceFile:
    kind = _kind_of(path)
    if kind is None:
        raise DataError(f"{path} has no ending that tuner can read.", f"Known are {KNOWN_FILES}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", "Check how it was written, or name another file.")
    return SourceFile(path=path, kind=kind, is_gzipped=path.suffix.lower() == ".gz")


def _kind_of(path: Path) -> FileKind | None:
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return SUFFIXES.get(name.suffix.lower())


def _files_of_folder(folder: Path, split: str) -> tuple[SourceFile, ...]:
    if (folder / "dataset_dict.json").is_file():
        return _saved_files(_saved_split(folder, split))
    if (folder / "state.json").is_file():
        return _saved_files(folder)
    try:
        paths = sorted(path for path in folder.iterdir() if path.is_file() and _kind_of(path) is not None)
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}.", "Ask its owner, or name a copy.") from error
    if not paths:
        raise DataError(f"{folder} holds no data files.", f"Known are {KNOWN_FILES}, or a folder saved by `datasets`.")
    return tuple(_known_file(path) for path in _of_split(folder, paths, split))


def _of_split(folder: Path, paths: list[Path], split: str) -> list[Path]:
    """Files named after splits are kept apart, so that a test set never slips into training."""
    splits = {path: _split_word(path) for path in paths}
    if not any(splits.values()):
        return paths
    wanted = SPLIT_WORDS.get(split, split)
    chosen = [path for path in paths if splits[path] == wanted]
    if chosen:
        return chosen
    names = ", ".join(path.name for path in paths)
    raise DataError(f'{folder} has no file of the split "{split}": {names}.', "Set `split`, or name one file.")


def _split_word(path: Path) -> str | None:
    words = re.split(r"[^a-z]+", path.name.split(".")[0].lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None)


def _saved_split(folder: Path, split: str) -> Path:
    splits = _described_names(folder / "dataset_dict.json", "splits")
    if split in splits:
        return folder / split
    near = difflib.get_close_matches(split, splits, n=1)
    hint = f'Did you mean split = "{near[0]}"?' if near else f"It has {', '.join(splits)}."
    raise DataError(f'{folder} has no split "{split}".', hint)


def _saved_files(folder: Path) -> tuple[SourceFile, ...]:
    names = _described_names(folder / "state.json", "_data_files")
    files = tuple(SourceFile(path=folder / name, kind="arrow") for name in names if _is_file_name(name))
    missing = [file.path for file in files if not file.path.is_file()]
    if missing or not files:
        what = missing[0] if missing else "every data file"
        raise DataError(f"{what} of the saved data set {folder} is missing.", "Save the data set again.")
    return files


def _is_file_name(name: str) -> bool:
    return Path(name).name == name and len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES


def _described_names(path: Path, key: str) -> list[str]:
    """Names listed under `key` in a description that `datasets` wrote: plain, or as {"filename": name}."""
    try:
        entries = json.loads(path.read_bytes())[key]
        return [str(entry["filename"] if isinstance(entry, dict) else entry) for entry in entries]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise DataError(f"{path} does not describe a saved data set: {error!r}.", "Save the data set again.") from error


def _near_files(path: Path) -> str:
    if not is_folder(path.parent):
        return f"The folder {path.parent} does not exist either."
    try:
        siblings = sorted(sibling.name for sibling in path.parent.iterdir())
    except OSError as error:
        return f"The folder {path.parent} cannot be read: {error.strerror}."
    near = difflib.get_close_matches(path.name, siblings, n=1)
    if near:
        return f"Did you mean {path.parent / near[0]}?"
    data_files = [name for name in siblings if _kind_of(Path(name)) is not None]
    return f"Data files there: {', '.join(data_files[:5])}." if data_files else "Name a data file, or a hub id."
