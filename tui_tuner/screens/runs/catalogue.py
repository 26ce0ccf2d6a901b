"""All runs that this person has, summed up once and again only where a journal grew. Draws nothing; any one thread."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.hosting.launches import list_launches
from tui_tuner.journal import RunSummary, summarise
from tui_tuner.journal.lock import is_alive
from tui_tuner.journal.writing import EVENTS_NAME

LIVING = ("running", "paused")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One run in the list."""

    summary: RunSummary
    runs_folder: Path
    has_folder: bool = True
    """False for a launch that failed before it became a run, or that is just being checked."""

    @property
    def is_living(self) -> bool:
        return self.summary.state in LIVING

    @property
    def searched(self) -> str:
        """What a filter looks into, in small letters."""
        return f"{self.summary.id} {self.summary.model} {self.summary.state}".lower()


@dataclass(frozen=True, slots=True)
class _Seen:
    size: int
    changed: int
    entry: RunEntry


class RunCatalogue:
    """Remembers the summaries of journals that did not change since."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self._seen: dict[Path, _Seen] = {}

    def entries(self) -> tuple[RunEntry, ...]:
        """Living runs first, then the newest. Costs a stat for each run that did not change."""
        found = [entry for folder in self.folders for entry in self._of(folder)]
        order = sorted(found, key=lambda one: (not one.is_living, -(one.summary.started or 0.0), one.summary.id))
        return tuple(order)

    def _of(self, runs_folder: Path) -> Iterator[RunEntry]:
        for launch in list_launches(runs_folder):
            yield RunEntry(summary=launch, runs_folder=runs_folder, has_folder=False)
        for journal in runs_folder.glob(f"[!.]*/{EVENTS_NAME}"):
            entry = self._entry(journal, runs_folder)
            if entry is not None:
                yield entry

    def _entry(self, journal: Path, runs_folder: Path) -> RunEntry | None:
        try:
            facts = journal.stat()
        except OSError:
            self._seen.pop(journal, None)  # deleted meanwhile
            return None
        seen = self._seen.get(journal)
        is_same = seen is not None and (seen.size, seen.changed) == (facts.st_size, facts.st_mtime_ns)
        # A run that dies writes nothing: its lock is what tells.
        if seen is not None and is_same and (not seen.entry.is_living or is_alive(journal.parent)):
            return seen.entry
        entry = RunEntry(summary=summarise(journal.parent), runs_folder=runs_folder)
        self._seen[journal] = _Seen(facts.st_size, facts.st_mtime_ns, entry)
        return entry
