"""All runs that this person has, summed up once and again only where a journal grew. Draws nothing; any one thread."""

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tui_tuner.hosting.launches import list_launches
from tui_tuner.hosting.live_folder import live_folders
from tui_tuner.journal import RunSummary, summarise
from tui_tuner.journal.lock import is_alive
from tui_tuner.journal.writing import EVENTS_NAME
from tui_tuner.screens.runs.index import Seen, load_index, save_index

LIVING = ("running", "paused")
PART_SECONDS = 0.3
"""After which a first look shows what it has found so far."""
WHOLE_SECONDS = 20.0
"""After which a glance looks at every journal again."""
WORTH_KEEPING = 200
"""Journals that were read; fewer are read again as fast."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEntry:
    """One run in the list."""

    summary: RunSummary
    runs_folder: Path
    has_folder: bool = True
    """False for a launch that failed before it became a run, or that is just being checked."""
    searched: str = field(init=False, compare=False)
    """What a filter looks into, in small letters."""

    def __post_init__(self) -> None:
        words = f"{self.summary.id} {self.summary.model} {self.summary.state}".lower()
        object.__setattr__(self, "searched", words)

    @property
    def is_living(self) -> bool:
        return self.summary.state in LIVING


@dataclass(frozen=True, slots=True)
class _Known:
    size: int
    changed: int
    entry: RunEntry


class RunCatalogue:
    """Remembers the summaries of journals that did not change since; in `index` also between sessions."""

    def __init__(self, folders: tuple[Path, ...], index: Path | None = None) -> None:
        self.folders = folders
        self._index = index
        self._remembered: dict[str, Seen] | None = None
        self._known: dict[str, _Known] = {}
        self._num_read = 0
        self._entries: tuple[RunEntry, ...] = ()
        self._launches: tuple[RunEntry, ...] = ()
        self._stamps: tuple[int, ...] = ()
        self._next_whole = 0.0

    def entries(self) -> tuple[RunEntry, ...]:
        """Living runs first, then the newest. Costs a stat for each run that did not change."""
        for entries in self.growing():
            self._entries = entries
        return self._entries

    def growing(self) -> Iterator[tuple[RunEntry, ...]]:
        """The same, but what is known so far comes every `PART_SECONDS`; the last is the whole."""
        if self._remembered is None:
            seen = load_index(self._index) if self._index is not None else ()
            self._remembered = {one.journal: one for one in seen}
        stamps, part = self._folder_stamps(), time.monotonic() + PART_SECONDS
        self._launches = tuple(self._launched())
        found: dict[str, _Known] = {}
        for known, journal in self._journals():
            found[journal] = known
            if time.monotonic() > part:
                part = time.monotonic() + PART_SECONDS
                yield self._ordered(found.values())
        self._known, self._stamps = found, stamps
        self._next_whole = time.monotonic() + WHOLE_SECONDS
        self._entries = self._ordered(found.values())
        self._keep()
        yield self._entries

    def glance(self) -> tuple[RunEntry, ...]:
        """The same at the cost of the living runs, as long as no run came or went; the same tuple where nothing did."""
        if self._folder_stamps() != self._stamps or time.monotonic() > self._next_whole:
            return self.entries()
        changed = False
        for journal in self._restless():
            known = self._known.get(journal)
            if known is None or (now := self._look(journal, known.entry.runs_folder)) is None:
                return self.entries()
            changed = changed or now is not known
            self._known[journal] = now
        launches = tuple(self._launched())
        if changed or launches != self._launches:
            self._launches = launches
            self._entries = self._ordered(self._known.values())
        return self._entries

    def _ordered(self, known: Iterable[_Known]) -> tuple[RunEntry, ...]:
        entries = [*self._launches, *(one.entry for one in known)]
        order = sorted(entries, key=lambda one: (not one.is_living, -(one.summary.started or 0.0), one.summary.id))
        return tuple(order)

    def _launched(self) -> Iterator[RunEntry]:
        for folder in self.folders:
            for launch in list_launches(folder):
                yield RunEntry(summary=launch, runs_folder=folder, has_folder=False)

    def _journals(self) -> Iterator[tuple[_Known, str]]:
        """Every run that has a folder. Names begin with the time, so that the newest come first."""
        for folder in self.folders:
            try:
                names = sorted((one.name for one in folder.iterdir() if not one.name.startswith(".")), reverse=True)
            except OSError:
                continue
            for name in names:
                journal = f"{folder}/{name}/{EVENTS_NAME}"
                if (known := self._look(journal, folder)) is not None:
                    yield known, journal

    def _restless(self) -> set[str]:
        """Journals that may have grown although nothing came or went: of living runs, and of those being resumed."""
        living = {f"{one.runs_folder}/{one.summary.id}/{EVENTS_NAME}" for one in self._entries if one.is_living}
        launched = {f"{live.run_folder}/{EVENTS_NAME}" for folder in self.folders for live in live_folders(folder)}
        return {one for one in living | launched if one in self._known}

    def _look(self, journal: str, runs_folder: Path) -> _Known | None:
        try:
            facts = Path(journal).stat()
        except OSError:
            return None  # no run, or deleted meanwhile
        known = self._known.get(journal) or self._recalled(journal, runs_folder)
        is_same = known is not None and (known.size, known.changed) == (facts.st_size, facts.st_mtime_ns)
        folder = Path(journal).parent if known is None or known.entry.is_living or not is_same else None
        # A run that dies writes nothing: its lock is what tells.
        if known is not None and is_same and (folder is None or is_alive(folder)):
            return known
        self._num_read += 1
        entry = RunEntry(summary=summarise(folder or Path(journal).parent), runs_folder=runs_folder)
        return _Known(facts.st_size, facts.st_mtime_ns, entry)

    def _recalled(self, journal: str, runs_folder: Path) -> _Known | None:
        one = self._remembered.pop(journal, None) if self._remembered else None
        if one is None:
            return None
        return _Known(one.size, one.changed, RunEntry(summary=one.summary, runs_folder=runs_folder))

    def _keep(self) -> None:
        """What was read in this session is remembered for the next, where it was much."""
        if self._index is None or self._num_read < WORTH_KEEPING:
            return
        self._num_read = 0
        seen = [
            Seen(journal=journal, size=one.size, changed=one.changed, summary=one.entry.summary)
            for journal, one in self._known.items()
        ]
        with suppress(OSError):  # a full disk must not keep anybody from the list
            save_index(self._index, seen)

    def _folder_stamps(self) -> tuple[int, ...]:
        """A run that comes or goes changes the time of the folder that it is in."""
        return tuple(_changed(folder) for folder in self.folders)


def _changed(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
