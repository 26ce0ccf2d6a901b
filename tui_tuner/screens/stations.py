"""The eight stations of the work, in order, and how each stands: what the rail shows and the keys 1 to 8 open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

StationName = Literal["runs", "model", "targets", "data", "recipe", "train", "chat", "export"]
Mark = Literal["", "done", "attention", "running"]
"""Not yet; settled; look here; at work."""


@dataclass(frozen=True, slots=True)
class StationEntry:
    """One place on the rail."""

    name: StationName
    key: str
    title: str


STATIONS = (
    StationEntry("runs", "1", "Runs"),
    StationEntry("model", "2", "Model"),
    StationEntry("targets", "3", "Targets"),
    StationEntry("data", "4", "Data"),
    StationEntry("recipe", "5", "Recipe"),
    StationEntry("train", "6", "Train"),
    StationEntry("chat", "7", "Chat"),
    StationEntry("export", "8", "Export"),
)
Marks = Mapping[StationName, Mark]
