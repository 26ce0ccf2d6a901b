"""Dropout whose mask is never stored: it follows from a seed on the device, so backward makes the same one again.

It is linear, hence its own gradient: calling it with the same seed and stream on a gradient is its backward.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, dtype_name
from tui_tuner.kernels.launch import on_device_of, rounded, uses_kernel

BLOCK = 1024


def dropout(x: Tensor, probability: float, seed: Tensor, stream: int) -> Tensor:
    """x [T, D] (rows may be spaced) with elements dropped and the rest divided by 1 - probability; a new tensor.

    seed: int64 scalar on the device, changed by the caller once a step. stream: a number of its own for each place
    that drops something.
    """
    return (dropout_kernel if uses_kernel(x) else dropout_reference)(x, probability, seed, stream)


def dropout_reference(x: Tensor, probability: float, seed: Tensor, stream: int) -> Tensor:
    """The same distribution from torch's generator, hence another mask than the kernel's."""
    generator = torch.Generator(x.device).manual_seed((int(seed) * 1_000_003 + stream) % 2**63)
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= probability
    return (x * (1.0 / (1.0 - probability))).masked_fill_(~kept, 0.0)


def dropout_kernel(x: Tensor, probability: float, seed: Tensor, stream: int) -> Tensor:
    rows, columns = x.shape
    out = torch.empty(rows, columns, dtype=x.dtype, device=x.device)
    with on_device_of(x):
        _dropout[(rows, triton.cdiv(columns, BLOCK))](
            x, out, seed, stream, probability, 1.0 / (1.0 - probability), x.stride(0), columns,
            BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return out


def checks(device: torch.device) -> Iterator[Check]:
    """The share of elements that fall, and that the same seed drops the same elements."""
    seed = torch.tensor(17, device=device)
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        ones = torch.ones(256, 1000, dtype=dtype, device=device)
        once, again = dropout(ones, 0.1, seed, 3), dropout(ones, 0.1, seed, 3)
        share = float((once == 0).float().mean())
        yield Check("dropout, share dropped", dtype_name(dtype), abs(share - 0.1), 0.005)
        yield Check("dropout, mask made again", dtype_name(dtype), float((once != again).sum()), 0.0)


@triton.jit(do_not_specialize=["stream"])
def _dropout(x, out, seed, stream, probability, scale, row_stride, columns, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < columns
    values = tl.load(x + row * row_stride + column, mask=inside, other=0.0).to(tl.float32)
    # The counter wraps after 2^32 elements of one call; the stream goes into the key.
    kept = tl.rand(tl.load(seed) * 1000003 + stream, (row * columns + column).to(tl.uint32)) >= probability
    tl.store(
        out + row * columns + column, rounded(tl.where(kept, values * scale, 0.0), x.dtype.element_ty), mask=inside
    )
