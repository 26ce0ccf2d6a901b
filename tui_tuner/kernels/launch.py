"""How every kernel here is launched and how it rounds. Nothing here waits for the device."""

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)
"""Whether kernels run in Triton's interpreter: a way to test them on a CPU, never a way to train."""

KERNEL_DTYPES = (torch.bfloat16, torch.float16, torch.float32)
CPU_PROGRAMS = 3
"""Programs of a persistent grid in the interpreter: more than one, so that partial sums are added up there too."""


def uses_kernel(tensor: Tensor) -> bool:
    """The rule by which every operation dispatches: kernels on a CUDA device, the plain reference everywhere else and
    for float64."""
    return tensor.is_cuda and tensor.dtype in KERNEL_DTYPES


def on_device_of(tensor: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device; a tensor may lie on another."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def persistent_programs(device: torch.device, per_processor: int = 4) -> int:
    """Programs that fill the device once, for kernels whose programs loop over rows."""
    return CPU_PROGRAMS if device.type == "cpu" else per_processor * _num_processors(device)


@lru_cache
def _num_processors(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def split(size: int, tile: int, most: int) -> tuple[int, int]:
    """Tiles of `size` that a program goes through, and into how many parts, at most `most`, that cuts it: each makes a
    partial sum, and a second launch adds these up in their order, so that the same bits come out each time.
    """
    tiles = triton.cdiv(size, tile)
    each = triton.cdiv(tiles, max(1, most))
    return each, triton.cdiv(tiles, each)


def warps_for(elements: int) -> int:
    """Warps of a program that holds this many elements of a memory-bound operation."""
    if elements <= 1024:
        return 4
    if elements <= 4096:
        return 8
    return 16 if elements <= 8192 else 32


@triton.jit
def rounded(x, dtype: tl.constexpr):  # type: ignore[no-untyped-def]
    """float32 -> dtype, to the nearest even, also in the interpreter, whose own cast to bfloat16 truncates."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = x.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        return bits.to(tl.uint16).to(tl.bfloat16, bitcast=True)
    else:  # noqa: RET505  (the interpreter of the other branch must not be compiled)
        return x.to(dtype)


def wide(tensor: Tensor) -> Tensor:
    """In the precision that references compute in: float64 stays, all else becomes float32."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
