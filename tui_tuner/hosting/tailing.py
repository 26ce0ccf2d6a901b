"""Reads a growing file of events in small bites, so that a screen stays fluent while it opens a long run."""

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from tui_tuner.events import TrainEvent, event_from_json

BITE_BYTES = 64 * 1024
LOG_LINES = 20
LOG_BYTES = 16_384


class EventTail:
    """Where one reader stands in one file. It never locks and never writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_at_end = False
        """Whether the last `read` came to the end of what was there."""
        self.num_unreadable = 0
        """Lines that are no events of this version of tuner; they are passed over."""
        self._offset = 0
        self._inode = 0
        self._bite = BITE_BYTES
        self._lines: list[bytes] = []

    @property
    def has_begun(self) -> bool:
        """Whether anything was read yet."""
        return self._offset > 0

    def read(self, seconds: float) -> tuple[TrainEvent, ...] | None:
        """The next events, as many as can be read in about that time; None where the file was begun anew.

        After None the next call starts at the file's beginning.
        """
        until = time.perf_counter() + seconds
        events: list[TrainEvent] = []
        self.is_at_end = False
        while True:
            for event in self._parsed():
                events.append(event)
                if time.perf_counter() >= until:
                    return tuple(events)
            size = self._bite_off()
            if size is None:
                return None
            if not size:
                self.is_at_end = True
                return tuple(events)

    def _parsed(self) -> Iterator[TrainEvent]:
        while self._lines:
            line = self._lines.pop()
            try:
                yield event_from_json(line)
            except ValidationError:
                self.num_unreadable += 1

    def _bite_off(self) -> int | None:
        """Read on to the last whole line of the next bite; returns its bytes, 0 at the end, None for another file."""
        try:
            with self.path.open("rb") as file:
                file.seek(0, 2)
                inode = self.path.stat().st_ino
                if file.tell() < self._offset or inode != self._inode != 0:
                    self._offset, self._inode, self._lines = 0, 0, []
                    return None
                self._inode = inode
                file.seek(self._offset)
                text = file.read(self._bite)
        except FileNotFoundError:
            return 0
        size = text.rfind(b"\n") + 1
        # A line that is longer than a bite needs a bigger one.
        self._bite = BITE_BYTES if size or len(text) < self._bite else 2 * self._bite
        if not size and self._bite > BITE_BYTES:
            return self._bite_off()
        self._lines = text[:size].split(b"\n")[-2::-1] if size else []
        self._offset += size
        return size


def last_lines(path: Path, limit: int = LOG_LINES) -> tuple[str, ...]:
    """The last lines of a text file, without empty ones at its end; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ()
    return tuple(text.rstrip().splitlines()[-limit:])
