"""One thing that doctor looked at. A value; nothing here looks."""

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "note", "warning", "fail"]
"""In order; worth knowing; works, but look; a run cannot start."""
Group = Literal["packages", "GPU", "machine", "disk", "terminal", "session"]
GROUPS: tuple[Group, ...] = ("packages", "GPU", "machine", "disk", "terminal", "session")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, and what to do about it."""

    name: str
    status: Status
    finding: str
    fix: str = ""
    group: Group = "machine"
