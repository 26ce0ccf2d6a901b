"""Small products inside of kernels, and how a program's work is cut into shares that a second launch adds up."""

import triton
import triton.language as tl

from tui_tuner.kernels.launch import INTERPRETED

LEAST_RANKS = 16
"""Of a product."""


def padded_ranks(rank: int) -> int:
    """A size that a program's tile may have."""
    return max(LEAST_RANKS, triton.next_power_of_2(rank))


def shares(size: int, tile: int, most: int) -> tuple[int, int]:
    """Tiles of `size` in each share, and into how many shares, at most `most`, that cuts it."""
    tiles = triton.cdiv(size, tile)
    each = triton.cdiv(tiles, max(1, most))
    return each, triton.cdiv(tiles, each)


@triton.jit
def multiplied(left, right):  # type: ignore[no-untyped-def]
    """left right, summed in float32."""
    if INTERPRETED:
        # Products of 16-bit numbers are wrong there.
        left, right = left.to(tl.float32), right.to(tl.float32)
    return tl.dot(left, right, input_precision="ieee")


@triton.jit
def made_once(value):  # type: ignore[no-untyped-def]
    """The value as it is. A product wants its factors in other threads than memory does, and the compiler would rather
    compute a value in both than hand it over, which twice took half of a kernel's time.
    """
    if INTERPRETED:
        return value
    elif value.dtype.primitive_bitwidth == 16:  # noqa: RET505
        return tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [value], value.dtype, is_pure=False, pack=2)
    else:
        return tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [value], value.dtype, is_pure=False, pack=1)
