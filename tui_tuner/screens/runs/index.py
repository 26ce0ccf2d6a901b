"""Keeps the summaries of many runs between sessions, so that ten thousand are listed at once. It is only a memory: each
line counts only while its journal has the same size and time of change, and a lost file costs nothing but time."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tui_tuner.journal import RunSummary

INDEX_NAME = "runs.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A journal as it was when it was summed up."""

    journal: str
    size: int
    changed: int
    """Nanoseconds since 1970."""
    summary: RunSummary


_CODEC = TypeAdapter(Seen)


def load_index(path: Path) -> tuple[Seen, ...]:
    """What is remembered. Lines of another version, or damaged ones, are left out."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(seen for line in lines if (seen := _parsed(line)) is not None)


def save_index(path: Path, seen: Iterable[Seen]) -> None:
    """Write it anew by one rename, owner-only.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.writelines(_CODEC.dump_json(one) + b"\n" for one in seen)
    fresh.replace(path)


def _parsed(line: bytes) -> Seen | None:
    try:
        return _CODEC.validate_json(line)
    except ValidationError:
        return None
