"""Adds a product of few summed columns to a large matrix: an adapter's part to what the base gave, and to a residual.

It is one reading and one writing of the large matrix, which libraries' products with so few columns do not reach.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against, timed
from tui_tuner.kernels.launch import on_device_of, rounded, uses_kernel
from tui_tuner.kernels.tensor_cores import multiplied, padded_columns

ROWS = 64
COLUMNS = 128
"""Of a program's tile; the fastest of nine on an H200, 97 % of what reading and writing take (docs/performance.md)."""


def add_thin_product(
    total: Tensor,
    left: Tensor,
    right: Tensor,
    into: Tensor,
    residual: Tensor | None = None,
    scales: Tensor | None = None,
) -> Tensor:
    """total [T, N] + left [T, R] right [R, N], and the residual where there is one, into `into`, which may be either.

    scales: [T, 1] float32, what rows of `total` are multiplied by first. Rows may be spaced, right may be transposed.
    """
    return (add_kernel if uses_kernel(total) else add_reference)(total, left, right, into, residual, scales)


def add_reference(
    total: Tensor,
    left: Tensor,
    right: Tensor,
    into: Tensor,
    residual: Tensor | None = None,
    scales: Tensor | None = None,
) -> Tensor:
    total = total if scales is None else (total * scales).to(total.dtype)
    summed = torch.addmm(total, left, right) if left.shape[1] else total
    return into.copy_(summed if residual is None else summed + residual)


def add_kernel(
    total: Tensor,
    left: Tensor,
    right: Tensor,
    into: Tensor,
    residual: Tensor | None = None,
    scales: Tensor | None = None,
) -> Tensor:
    if left.shape[1] == 0 and residual is None and scales is None and into is total:
        return total
    tokens, features = total.shape
    tiles = (triton.cdiv(features, COLUMNS), triton.cdiv(tokens, ROWS))
    with on_device_of(total):
        _add[tiles](
            total, total.stride(0), left, left.stride(0), right, *right.stride(), into, into.stride(0),
            residual, 0 if residual is None else residual.stride(0), scales,
            tokens, features, left.shape[1], ADD=residual is not None, SCALE=scales is not None,
            RANKS=padded_columns(left.shape[1]), ROWS=ROWS, COLUMNS=COLUMNS, num_warps=8,
        )  # fmt: skip
    return into


@triton.jit(do_not_specialize=["tokens"])
def _add(  # type: ignore[no-untyped-def]
    total, total_row, left, left_row, right, right_row, right_column, into, into_row,
    residual, residual_row, scales, tokens, features, ranks,
    ADD: tl.constexpr, SCALE: tl.constexpr, RANKS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    row = (tl.program_id(1) * ROWS + tl.arange(0, ROWS)).to(tl.int64)[:, None]
    column = (tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    rank = tl.arange(0, RANKS)
    inside = (row < tokens) & (column < features)
    one = tl.load(left + row * left_row + rank[None, :], (row < tokens) & (rank < ranks)[None, :], 0.0)
    place = right + rank[:, None] * right_row + column * right_column
    other = tl.load(place, (rank < ranks)[:, None] & (column < features), 0.0)
    product = multiplied(one, other)
    value = tl.load(total + row * total_row + column, inside, 0.0).to(tl.float32)
    if SCALE:
        value *= tl.load(scales + row, row < tokens, 0.0)
    value += product
    if ADD:
        value += tl.load(residual + row * residual_row + column, inside, 0.0).to(tl.float32)
    tl.store(into + row * into_row + column, rounded(value, into.dtype.element_ty), inside)


def checks(device: torch.device) -> Iterator[Check]:
    """Against float64, beside torch in the same dtype."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(14)
        shapes = ((500, 3000), (500, 32), (32, 3000))
        total, left, right = (torch.randn(one, generator=generator, device=device).to(dtype) for one in shapes)
        exact = total.double() + left.double() @ right.double()
        added = add_thin_product(total, left, right, torch.empty_like(total))
        call = lambda total=total, left=left, right=right: add_thin_product(total, left, right, total)  # noqa: E731
        yield timed(check_against("thin product", added, exact, total.addmm(left, right)), call, 2 * total.nbytes)
