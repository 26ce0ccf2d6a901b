"""What the app takes from its surroundings, gathered in one value so that tests can give it another world."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui_tuner.screens.look.glyphs import GlyphSet, fitting_glyphs, knows_utf8

if TYPE_CHECKING:
    from tui_tuner.diagnosis.all_checks import Surroundings
    from tui_tuner.diagnosis.check import Check
    from tui_tuner.hardware import GpuMeters, Hardware


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Folders, clock and machine, as the app sees them."""

    runs_folder: Path
    """Where new runs go, and the first place that is listed."""
    state_folder: Path
    """Owner-only: the draft, the clipboard file, the list of known runs folders."""
    config_folder: Path
    """Owner-only: the settings."""
    model_folders: tuple[Path, ...] = ()
    """Folders that are searched for models beside the Hugging Face cache."""
    hub_cache: Path | None = None
    """The Hugging Face cache; None for where its own settings put it."""
    is_in_process: bool = False
    """Whether runs are carried out in this process instead of in their own session."""
    is_remote: bool = False
    """Whether the terminal is at the other end of a network: fewer frames a second."""
    can_reach_network: bool = True
    glyphs: GlyphSet = "braille"
    """The signs that the terminal can show; a setting goes before it."""
    knows_utf8: bool = True
    home: Path
    """Paths below it are shown as "~/…"."""
    clock: Callable[[], float]
    """Seconds since 1970."""
    probe: Callable[[], "Hardware"]
    read_meters: Callable[[], "GpuMeters | None"]
    """What the first GPU does now; called from a thread."""
    find_checks: Callable[["Surroundings"], Iterator["Check"]]
    """What Doctor looks at; called from a thread."""
    read_login: Callable[[], str]
    """How another machine reaches this one, for commands that fetch files: "ann@gpu-box"."""

    @property
    def frame_seconds(self) -> float:
        """How often living panels are drawn anew."""
        return 1.0 if self.is_remote else 0.5


def real_environment(runs_folder: Path, *, is_in_process: bool = False) -> Environment:
    """The surroundings of this process, by the XDG base directory settings."""
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    return Environment(
        runs_folder=runs_folder,
        state_folder=state / "tuner",
        config_folder=config / "tuner",
        home=Path.home(),
        model_folders=(Path.cwd(), Path("~/models").expanduser()),
        is_in_process=is_in_process,
        is_remote="SSH_CONNECTION" in os.environ,
        glyphs=fitting_glyphs(os.environ),
        knows_utf8=knows_utf8(os.environ),
        clock=time.time,
        probe=_probe,
        read_meters=_read_meters,
        find_checks=_find_checks,
        read_login=_read_login,
    )


def _probe() -> "Hardware":
    from tui_tuner.hardware import probe_hardware

    return probe_hardware()


def _read_meters() -> "GpuMeters | None":
    from tui_tuner.hardware import read_gpu_meters

    return read_gpu_meters()


def _find_checks(surroundings: "Surroundings") -> "Iterator[Check]":
    from tui_tuner.diagnosis.all_checks import iter_checks

    return iter_checks(surroundings)


def _read_login() -> str:
    import getpass
    import socket

    from tui_tuner.screens.export.commands import login_of

    return login_of(os.environ, getpass.getuser(), socket.gethostname())
