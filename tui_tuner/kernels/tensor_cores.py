"""Products of few rows or columns inside of kernels, by tensor cores where the type has them."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.launch import INTERPRETED, uses_kernel

MOST_RANKS = 64
"""Of an adapter whose sums a kernel makes by the way: those of more fill the registers of a program."""
LEAST_COLUMNS = 16
"""Of a factor of `tl.dot`."""


def are_made_by_the_way(rank: int, like: Tensor) -> bool:
    """Whether kernels make products with adapters of this rank beside something else: where they are few, and of
    16-bit tensors, which tensor cores multiply. Those of float32 ones would ask for more shared memory than consumer
    GPUs have. References do whatever the rank allows.
    """
    return rank <= MOST_RANKS and not (uses_kernel(like) and like.dtype == torch.float32)


def padded_columns(rank: int) -> int:
    """A size that a program's tile may have."""
    return max(LEAST_COLUMNS, triton.next_power_of_2(rank))


def refuse_others(rank: int, like: Tensor) -> None:
    """Raises ValueError where products are not made by the way: the caller was to make them itself."""
    if not are_made_by_the_way(rank, like):
        raise ValueError(f"rank {rank} in {like.dtype} on {like.device}: wanted is up to {MOST_RANKS} in 16 bits")


@triton.jit
def multiplied(left, right):  # type: ignore[no-untyped-def]
    """left right, summed in float32."""
    if INTERPRETED:
        # Products of 16-bit numbers are wrong there.
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, input_precision="ieee")


@triton.jit
def made_once(value):  # type: ignore[no-untyped-def]
    """The 16-bit value as it is. A product wants its factors in other threads than memory does, and the compiler would
    rather compute a value in both than hand it over, which took a third of a kernel's time.
    """
    if INTERPRETED:
        return value
    else:  # noqa: RET505
        return tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [value], value.dtype, is_pure=False, pack=2)
