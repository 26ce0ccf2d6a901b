"""Every check in its order, each as soon as it is made, for the command line and for the app alike."""

import locale
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.diagnosis.check import Check
from tui_tuner.diagnosis.gpu_driver import Driver, read_driver
from tui_tuner.diagnosis.gpus import gpu_checks
from tui_tuner.diagnosis.machine import DiskWish, disk_checks, memory_check, tuner_check
from tui_tuner.diagnosis.packages import package_checks
from tui_tuner.diagnosis.session import session_checks
from tui_tuner.diagnosis.terminal import terminal_checks
from tui_tuner.hardware import Hardware, probe_hardware
from tui_tuner.planning.hub.cache import hub_cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where doctor looks."""

    runs_folder: Path
    hub_cache: Path
    terminal_size: os.terminal_size
    encoding: str
    variables: Mapping[str, str]
    wish: DiskWish | None = None
    probe: Callable[[], Hardware] = probe_hardware
    read_driver: Callable[[], Driver | None] = read_driver


def these_surroundings(runs_folder: Path = Path("runs")) -> Surroundings:
    """Of this process and its terminal."""
    return Surroundings(
        runs_folder=runs_folder,
        hub_cache=hub_cache_folder(),
        terminal_size=shutil.get_terminal_size(),
        encoding=locale.getpreferredencoding(do_setlocale=False),
        variables=dict(os.environ),
    )


def iter_checks(surroundings: Surroundings) -> Iterator[Check]:
    """Takes a second or so in all; a check that cannot look says so instead of failing."""
    hardware, driver = surroundings.probe(), surroundings.read_driver()
    yield tuner_check()
    yield from package_checks(hardware, driver)
    yield from gpu_checks(hardware, driver)
    yield memory_check(hardware)
    yield from disk_checks(surroundings.runs_folder, surroundings.hub_cache, surroundings.wish)
    yield from terminal_checks(surroundings.terminal_size, surroundings.encoding, surroundings.variables)
    yield from session_checks(surroundings.variables)
