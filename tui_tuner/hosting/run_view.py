"""What a screen sees of a run at one moment, wherever the run is carried out."""

from dataclasses import dataclass
from typing import Protocol

from tui_tuner.controls import RunControls
from tui_tuner.events import RunState
from tui_tuner.hosting.notes import ExitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """For the line on attaching: "attached 12:04, ran alone for 3 h 12 m, 2 warnings"."""

    attached_at: float
    alone_since: float | None = None
    """When somebody looked last; None where nobody ever did, or somebody still does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One moment. Times are seconds since 1970."""

    run_id: str
    state: RunState
    is_alive: bool
    """Whether a process carries it out. Look at this first: an old failure of a resumed run is still in the state."""
    is_caught_up: bool = True
    """False while older events are still being read."""
    exit: ExitStatus | None = None
    """How its process ended; None while it lives, after a good end, and where nobody was there to see it."""
    log_tail: tuple[str, ...] = ()
    """Last lines of its process, where it ended badly. Text from outside: make it visible before you show it."""
    launched_at: float | None = None
    attachment: Attachment
    num_unreadable: int = 0
    """Lines of the journal that this version of tuner does not understand."""

    @property
    def is_lost(self) -> bool:
        """Whether it died without a word: killed, out of memory, the machine went down."""
        return not self.is_alive and self.is_caught_up and self.state.finished is None and self.state.failed is None


class WatchedRun(Protocol):
    """A run in another process (`RunWatcher`) or in this one (`InProcessRun`)."""

    @property
    def run_id(self) -> str: ...

    @property
    def controls(self) -> RunControls: ...

    def poll(self) -> RunView | None:
        """The newest view, or None where nothing is new. Returns within some 20 ms, and never waits for the run."""
