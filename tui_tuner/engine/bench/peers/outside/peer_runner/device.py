"""The allocator, the device's memory and its clock, the same on a GPU and on a processor."""

import time
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Memory:
    """Bytes; None on a processor."""

    peak: int | None
    reserved: int | None
    device: int | None


def limit_memory(limit: int) -> None:
    """Let the allocator hold no more than so many bytes; 0 for all there is."""
    if limit:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit / total))


def used_by_others(device: str) -> int:
    """Bytes in use on the GPU as this process begins to use it."""
    if device != "cuda":
        return 0
    free, total = torch.cuda.mem_get_info()
    return total - free


def reset_peak(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()


def read_memory(device: str, before: int) -> Memory:
    """Now and since the last reset."""
    if device != "cuda":
        return Memory(None, None, None)
    free, total = torch.cuda.mem_get_info()
    return Memory(torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved(), total - free - before)


def now(device: str) -> float:
    """Seconds on a running clock, once the device has done all that it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()
