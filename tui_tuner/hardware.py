"""The machine: GPUs by NVML, processors and memory. Never initialises CUDA, and a missing driver is no error."""

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

MEMINFO = Path("/proc/meminfo")
CPUINFO = Path("/proc/cpuinfo")
CGROUP = Path("/sys/fs/cgroup")
CPUINFO_BYTES = 4096
"""Holds the first of the processors, which are all of a kind."""
Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU that a run may use."""

    index: int
    """Number among the visible GPUs: CUDA's own numbering."""
    name: str
    total_bytes: int
    free_bytes: int
    compute_capability: tuple[int, int]
    driver: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What this process may use."""

    gpus: tuple[Gpu, ...]
    cpu_count: int
    ram_bytes: int
    ram_free_bytes: int
    """Memory that can be had without swapping; 0 where the system does not say."""
    cpu_name: str = ""
    """As the maker calls it; the architecture where the system does not say."""


def probe_hardware() -> Hardware:
    """Look at the machine now."""
    memory = within_limit(read_memory(MEMINFO), CGROUP)
    return Hardware(
        gpus=_gpus(),
        cpu_count=_cpu_count(),
        ram_bytes=memory[0],
        ram_free_bytes=memory[1],
        cpu_name=read_cpu_name(CPUINFO),
    )


def read_cpu_name(cpuinfo: Path) -> str:
    """The first "model name" of a /proc/cpuinfo; the architecture where there is none."""
    try:
        with cpuinfo.open(errors="replace") as file:
            text = file.read(CPUINFO_BYTES)
    except OSError:
        text = ""
    names = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(names, platform.machine())


def read_memory(meminfo: Path) -> tuple[int, int]:
    """Total and available bytes from a /proc/meminfo; 0 where it does not say."""
    if not meminfo.exists():
        return 0, 0
    fields = {}
    for line in meminfo.read_text().splitlines():
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * 1024 if rest.split() else 0
    return fields.get("MemTotal", 0), fields.get("MemAvailable", 0)


def within_limit(memory: tuple[int, int], cgroup: Path) -> tuple[int, int]:
    """Total and available bytes where a container limits them, by either version of cgroups; else as they are.

    What files that were read take up is available: the kernel lets go of it first.
    """
    names = ("memory.max", "memory.current", "memory.stat", "inactive_file")
    if (cgroup / "memory").is_dir():
        cgroup = cgroup / "memory"
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat", "total_inactive_file")
    try:
        limit, used, stat = ((cgroup / name).read_text().strip() for name in names[:3])
    except OSError:
        return memory
    if not limit.isdigit() or int(limit) >= memory[0]:
        return memory
    cached = next((line.split()[1] for line in stat.splitlines() if line.startswith(f"{names[3]} ")), "0")
    return int(limit), max(0, min(memory[1], int(limit) - int(used) + int(cached)))


def visible_indices(count: int, uuids: list[str], setting: str | None) -> tuple[int, ...]:
    """NVML's numbers of the GPUs that CUDA_VISIBLE_DEVICES leaves visible, in CUDA's order.

    As CUDA reads it: numbers or (beginnings of) UUIDs; the first entry that names no GPU ends the list.
    """
    if setting is None:
        return tuple(range(count))
    chosen: list[int] = []
    for entry in setting.split(","):
        index = _index_of(entry.strip(), count, uuids)
        if index is None or index in chosen:
            break
        chosen.append(index)
    return tuple(chosen)


def _index_of(entry: str, count: int, uuids: list[str]) -> int | None:
    if entry.isdigit():
        return int(entry) if int(entry) < count else None
    matches = [index for index, uuid in enumerate(uuids) if entry and uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None


def _cpu_count() -> int:
    """Processors this process may run on, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _gpus() -> tuple[Gpu, ...]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        return _visible_gpus(pynvml)
    except pynvml.NVMLError:
        # A driver that starts but does not answer, after an update without a restart say, runs no CUDA either.
        return ()
    finally:
        pynvml.nvmlShutdown()


def _visible_gpus(nvml: Any) -> tuple[Gpu, ...]:
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    uuids = [str(nvml.nvmlDeviceGetUUID(handle)) for handle in handles]
    visible = visible_indices(len(handles), uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
    driver = str(nvml.nvmlSystemGetDriverVersion())
    return tuple(_gpu(nvml, handles[nvml_index], index, driver) for index, nvml_index in enumerate(visible))


def _gpu(nvml: Any, handle: Any, index: int, driver: str) -> Gpu:
    total, free = _gpu_memory(nvml, handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        index=index,
        name=str(nvml.nvmlDeviceGetName(handle)),
        total_bytes=total,
        free_bytes=free,
        compute_capability=(int(major), int(minor)),
        driver=driver,
    )


def _gpu_memory(nvml: Any, handle: Any) -> tuple[int, int]:
    """Total and free bytes; the machine's own where GPU and processor share one memory."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError_NotSupported:
        return read_memory(MEMINFO)
    return int(memory.total), int(memory.free)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuMeters:
    """What one GPU does at this moment."""

    utilisation: int
    """Percent of the last sample period in which a kernel ran."""
    used_bytes: int
    total_bytes: int
    temperature: int | None
    """Degrees Celsius; None where the driver does not say."""
    power_watts: float | None


def read_gpu_meters(index: int = 0) -> GpuMeters | None:
    """The meters of the visible GPU `index`; None where there is none or its driver does not answer.

    Takes some milliseconds: call it from a thread.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        count = pynvml.nvmlDeviceGetCount()
        uuids = [str(pynvml.nvmlDeviceGetUUID(pynvml.nvmlDeviceGetHandleByIndex(number))) for number in range(count)]
        visible = visible_indices(count, uuids, os.environ.get("CUDA_VISIBLE_DEVICES"))
        return _meters(pynvml, pynvml.nvmlDeviceGetHandleByIndex(visible[index])) if index < len(visible) else None
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _meters(nvml: Any, handle: Any) -> GpuMeters:
    total, free = _gpu_memory(nvml, handle)
    return GpuMeters(
        utilisation=int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu),
        used_bytes=total - free,
        total_bytes=total,
        temperature=_optional(nvml, lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
        power_watts=_optional(nvml, lambda: float(nvml.nvmlDeviceGetPowerUsage(handle)) / 1000),
    )


def _optional(nvml: Any, read: Callable[[], Number]) -> Number | None:
    """A reading that some cards, and virtual ones, do not give."""
    try:
        return read()
    except nvml.NVMLError:
        return None


def process_memory(process_id: int) -> int | None:
    """Resident bytes of a process of this machine; None where it is gone."""
    try:
        pages = int(Path(f"/proc/{process_id}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
