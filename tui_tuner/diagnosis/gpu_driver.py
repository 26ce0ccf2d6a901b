"""The GPU's driver, and the processes that hold a GPU's memory, by NVML. Takes some milliseconds: never on a key."""

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A process with memory on a GPU."""

    gpu: int
    """NVML's number of the GPU."""
    process_id: int
    user: str
    """Empty where the process belongs to another container, which hides it."""
    command: str
    num_bytes: int | None
    """None where the driver does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """The driver and who uses it."""

    version: str
    cuda: str
    """The newest CUDA that it knows: "13.0"."""
    holders: tuple[Holder, ...] = ()

    @property
    def cuda_major(self) -> int:
        return int(self.cuda.split(".")[0])


def read_driver() -> Driver | None:
    """What the driver says now; None where there is none, or it does not answer."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        cuda = int(pynvml.nvmlSystemGetCudaDriverVersion())
        return Driver(
            version=str(pynvml.nvmlSystemGetDriverVersion()),
            cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
            holders=tuple(_holders(pynvml)),
        )
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _holders(nvml: Any) -> Iterator[Holder]:
    for gpu in range(nvml.nvmlDeviceGetCount()):
        try:
            found = nvml.nvmlDeviceGetComputeRunningProcesses(nvml.nvmlDeviceGetHandleByIndex(gpu))
        except nvml.NVMLError_NotSupported:  # some virtual GPUs do not tell
            continue
        for one in found:
            used = int(one.usedGpuMemory) if one.usedGpuMemory is not None else None
            yield holder_of(gpu, int(one.pid), used)


def holder_of(gpu: int, process_id: int, num_bytes: int | None, proc: Path = PROC) -> Holder:
    """Whose process that is and what it runs, as far as this user may see it."""
    user, command = "", ""
    try:
        user = _user_name((proc / str(process_id)).stat().st_uid)
        words = (proc / str(process_id) / "cmdline").read_bytes().split(b"\0")
        command = " ".join(word.decode(errors="replace") for word in words if word)
    except OSError:
        pass  # it has just ended, or lives in another container: it is listed by its number alone
    return Holder(gpu=gpu, process_id=process_id, user=user, command=command, num_bytes=num_bytes)


def is_own(holder: Holder) -> bool:
    return holder.user == _user_name(os.getuid())


def _user_name(user_id: int) -> str:
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
