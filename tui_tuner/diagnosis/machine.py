"""tuner itself, the processor's memory, and the disks that runs, merges and downloads need."""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tui_tuner import __version__, units
from tui_tuner.diagnosis.check import Check
from tui_tuner.hardware import Hardware
from tui_tuner.planning.hub.cache import cached_models

MIN_FREE_DISK = 20 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskWish:
    """What the chosen model will write."""

    model: str
    run_bytes: int
    """Checkpoints and the adapter of one run."""
    merge_bytes: int
    """A merged model in 16 bits."""


def tuner_check() -> Check:
    finding = f"{__version__}, Python {platform.python_version()} on {platform.platform()}"
    return Check("tuner", "ok", finding, group="packages")


def memory_check(hardware: Hardware) -> Check:
    if not hardware.ram_bytes:
        return Check("memory", "warning", "this system does not say how much there is")
    return Check("memory", "ok", f"{units.memory(hardware.ram_free_bytes)} of {units.memory(hardware.ram_bytes)} free")


def disk_checks(runs_folder: Path, hub_cache: Path, wish: DiskWish | None) -> Iterator[Check]:
    folder = existing_folder(runs_folder)
    if wish is None:
        yield disk_check("runs folder", folder)
    else:
        yield room_check("checkpoints", folder, wish.run_bytes, f"a run of {wish.model}")
        yield room_check("merge", folder, wish.merge_bytes, f"{wish.model} merged, in 16 bits")
    yield cache_check(hub_cache)


def disk_check(name: str, folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    finding = f"{units.file_size(usage.free)} of {units.file_size(usage.total)} free in {folder}"
    if usage.free < MIN_FREE_DISK:
        return Check(name, "warning", finding, "Free some space, or set output.folder to another disk.", "disk")
    return Check(name, "ok", finding, group="disk")


def room_check(name: str, folder: Path, needed: int, what: str) -> Check:
    """Whether what is to be written fits."""
    free = shutil.disk_usage(folder).free
    finding = f"{what} takes {units.file_size(needed)}; {units.file_size(free)} free in {folder}"
    if free < needed:
        fix = "Free some space, or set output.folder to another disk."
        return Check(name, "warning", finding, fix, "disk")
    return Check(name, "ok", finding, group="disk")


def cache_check(folder: Path) -> Check:
    if not folder.is_dir():
        return Check("model cache", "ok", f"{folder} does not exist yet; the first download makes it", group="disk")
    if not os.access(folder, os.W_OK):
        fix = "Set HF_HOME to a folder of your own."
        return Check("model cache", "warning", f"{folder} cannot be written", fix, "disk")
    models = cached_models(folder)
    size = units.file_size(sum(model.bytes for model in models))
    free = units.file_size(shutil.disk_usage(folder).free)
    return Check("model cache", "ok", f"{len(models)} models, {size} in {folder}, {free} free", group="disk")


def existing_folder(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(path for path in (folder.expanduser().absolute(), *folder.absolute().parents) if path.is_dir())
