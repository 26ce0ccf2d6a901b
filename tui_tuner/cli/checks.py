"""The checks of `tuner doctor`. Each looks at one thing; none imports torch, so a broken torch is a finding too."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from tui_tuner import __version__, units
from tui_tuner.hardware import Hardware, probe_hardware
from tui_tuner.planning.hub_cache import cached_models, hub_cache_folder

NEEDED_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors")
MIN_FREE_DISK = 20 * 10**9
MIN_WIDTH, MIN_HEIGHT = 80, 24


@dataclass(frozen=True, slots=True)
class Check:
    """One finding, and what to do about it."""

    name: str
    status: Literal["ok", "warning", "fail"]
    finding: str
    fix: str = ""


def all_checks() -> tuple[Check, ...]:
    hardware = probe_hardware()
    return tuple(_checks(hardware))


def _checks(hardware: Hardware) -> Iterator[Check]:
    yield Check("tuner", "ok", f"{__version__}, Python {platform.python_version()} on {platform.platform()}")
    for name in NEEDED_PACKAGES:
        yield package_check(name)
    yield gpu_check(hardware)
    yield cuda_check(hardware)
    yield bitsandbytes_check(hardware)
    yield triton_check(hardware)
    yield memory_check(hardware)
    yield disk_check("disk here", Path.cwd())
    yield cache_check(hub_cache_folder())
    yield terminal_check(shutil.get_terminal_size(), sys.stdout.encoding or "", os.environ.get("TERM", ""))


def package_check(name: str) -> Check:
    """Installed, and within the range that tuner was made for."""
    found = _version(name)
    wanted = _wanted(name)
    if found is None:
        return Check(name, "fail", "not installed", f"pip install '{wanted}'")
    if not wanted.specifier.contains(found, prereleases=True):
        return Check(name, "warning", f"{found}, but tuner is made for {wanted.specifier}", f"pip install '{wanted}'")
    return Check(name, "ok", found)


def gpu_check(hardware: Hardware) -> Check:
    if not hardware.gpus:
        fix = "For a GPU, install NVIDIA's driver and check that nvidia-smi runs. Small models train on the CPU."
        return Check("GPU", "warning", f"none found; runs use {hardware.cpu_count} processors", fix)
    names = [
        f"{gpu.name}, {units.memory(gpu.free_bytes)} of {units.memory(gpu.total_bytes)} free, compute capability "
        f"{gpu.compute_capability[0]}.{gpu.compute_capability[1]}"
        for gpu in hardware.gpus
    ]
    return Check("GPU", "ok", f"{'; '.join(names)}; driver {hardware.gpus[0].driver}")


def cuda_check(hardware: Hardware) -> Check:
    """Whether torch was built for the GPU that is there; the build is part of its version."""
    torch = _version("torch")
    if torch is None:
        return Check("CUDA", "warning", "torch is not installed")
    build = torch.partition("+")[2]
    if build == "cpu" and hardware.gpus:
        return Check("CUDA", "fail", f"torch {torch} is built without CUDA", "Install torch from PyTorch's CUDA index.")
    runtime = next(
        (found for name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu12") if (found := _version(name))), None
    )
    if runtime is not None:
        return Check("CUDA", "ok", f"runtime {runtime} comes with torch {torch}")
    return Check("CUDA", "ok", "not used: torch is built for the CPU" if build == "cpu" else f"torch {torch}")


def bitsandbytes_check(hardware: Hardware) -> Check:
    """4-bit weights and 8-bit optimizers need it, and its library for the GPU."""
    found = _version("bitsandbytes")
    if found is None:
        return Check(
            "bitsandbytes", "warning", "not installed: no nf4, no 8-bit optimizers", "pip install bitsandbytes"
        )
    spec = find_spec("bitsandbytes")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    libraries = sorted(
        {path.stem.rpartition("_")[2].rstrip("0123456789") for path in folder.glob("libbitsandbytes_*.so")}
    )
    if hardware.gpus and "cuda" not in libraries:
        return Check(
            "bitsandbytes", "fail", f"{found} has no library for CUDA", "pip install --force-reinstall bitsandbytes"
        )
    return Check("bitsandbytes", "ok", f"{found} with libraries for {', '.join(libraries) or 'no device'}")


def triton_check(hardware: Hardware) -> Check:
    """Triton builds its launchers with a C compiler the first time a kernel runs."""
    found = _version("triton")
    if found is None:
        status: Literal["ok", "warning"] = "warning" if hardware.gpus else "ok"
        fix = "pip install triton" if hardware.gpus else ""
        return Check("Triton", status, "not installed; only GPUs use it", fix)
    if hardware.gpus and not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        return Check("Triton", "warning", f"{found}, but no C compiler to build kernels with", "apt install gcc")
    return Check("Triton", "ok", found)


def memory_check(hardware: Hardware) -> Check:
    if not hardware.ram_bytes:
        return Check("memory", "warning", "this system does not say how much there is")
    return Check("memory", "ok", f"{units.memory(hardware.ram_free_bytes)} of {units.memory(hardware.ram_bytes)} free")


def disk_check(name: str, folder: Path) -> Check:
    usage = shutil.disk_usage(folder)
    finding = f"{units.file_size(usage.free)} of {units.file_size(usage.total)} free in {folder}"
    if usage.free < MIN_FREE_DISK:
        return Check(name, "warning", finding, "Free some space, or set output.folder to another disk.")
    return Check(name, "ok", finding)


def cache_check(folder: Path) -> Check:
    if not folder.is_dir():
        return Check("model cache", "ok", f"{folder} does not exist yet; the first download makes it")
    if not os.access(folder, os.W_OK):
        return Check("model cache", "warning", f"{folder} cannot be written", "Set HF_HOME to a folder of your own.")
    models = cached_models(folder)
    size = sum(model.bytes for model in models)
    free = units.file_size(shutil.disk_usage(folder).free)
    return Check("model cache", "ok", f"{len(models)} models, {units.file_size(size)} in {folder}, {free} free")


def terminal_check(size: os.terminal_size, encoding: str, kind: str) -> Check:
    finding = f"{size.columns} × {size.lines}, {kind or 'no TERM'}, {encoding or 'no encoding'}"
    if "utf" not in encoding.lower():
        return Check("terminal", "warning", finding, "export LANG=C.UTF-8, so that bars and curves can be drawn")
    if size.columns < MIN_WIDTH or size.lines < MIN_HEIGHT:
        return Check("terminal", "warning", finding, f"Make it at least {MIN_WIDTH} × {MIN_HEIGHT}.")
    return Check("terminal", "ok", finding)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _wanted(name: str) -> Requirement:
    """What tuner itself asks for; any version where tuner runs from its source folder."""
    try:
        wanted = [Requirement(line) for line in requires("tui-tuner") or ()]
    except PackageNotFoundError:
        wanted = []
    return next((one for one in wanted if one.name == name), Requirement(name))
