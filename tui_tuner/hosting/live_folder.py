"""Where a run can be reached while it lives: `runs/.live/<run id>/`. Paths only, for the supervisor must stay light."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIVE_NAME = ".live"
"""No run can be called this: the name of a run begins with a letter or a digit."""


@dataclass(frozen=True, slots=True)
class LiveFolder:
    """`lock` is held for as long as the run, or the process that looks after it, lives."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def runs_folder(self) -> Path:
        return self.path.parent.parent

    @property
    def run_folder(self) -> Path:
        """The run's own folder, which exists once everything was checked."""
        return self.runs_folder / self.run_id

    @property
    def mailbox(self) -> Path:
        """Wishes, one small file each."""
        return self.path / "control"

    @property
    def note(self) -> Path:
        """Who started what, and when."""
        return self.path / "launch.json"

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.toml"

    @property
    def events(self) -> Path:
        """What happened before there was a journal."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """What the engine's process wrote to its standard output and error."""
        return self.path / "log.txt"

    @property
    def exit(self) -> Path:
        """How the engine's process ended."""
        return self.path / "exit.json"

    @property
    def watched(self) -> Path:
        """Its time of change is when somebody looked last."""
        return self.path / "watched"


def live_folder(runs_folder: Path, run_id: str) -> LiveFolder:
    return LiveFolder(runs_folder / LIVE_NAME / run_id)


def live_folders(runs_folder: Path) -> Iterator[LiveFolder]:
    """Those that exist, dead or alive."""
    for path in sorted((runs_folder / LIVE_NAME).glob("[A-Za-z0-9]*")):
        if path.is_dir():
            yield LiveFolder(path)
