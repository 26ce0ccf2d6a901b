"""Rows of a matrix as 8-bit floats (e4m3), each with one float32 scale: its largest magnitude times 1 / 448.

Kernels that make what a product in 8 bits reads quantise it as they go (`scale_of`, `inverse_of`, `eight_bits`); a
kernel of its own does it for what none of ours has made.
"""

from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.launch import INTERPRETED, on_device_of, uses_kernel

DTYPE = torch.float8_e4m3fn
LARGEST = tl.constexpr(448.0)
"""The largest finite number of e4m3."""
PER_LARGEST = tl.constexpr(1.0 / 448.0)
"""A factor, not a divisor: torch multiplies by the inverse on a GPU and divides on a CPU, a last bit apart, and where a
result lies half-way between two numbers that bit decides its byte. Elements are multiplied by the inverse of the
scale: a division for each takes longer than reading it."""
SMALLEST_SCALE = tl.constexpr(1e-30)
SHORT = 8192
"""Columns that a program holds at once; longer rows are read twice, so many at a time:"""
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Fp8Rows:
    """A matrix as bytes and scales: values * scales is what it stands for."""

    values: Tensor
    """[rows, columns] e4m3."""
    scales: Tensor
    """[rows, 1] float32."""

    def rows(self, rows: slice) -> "Fp8Rows":
        """Views of some."""
        return Fp8Rows(self.values[rows], self.scales[rows])


def dequantize_rows(rows: Fp8Rows, dtype: torch.dtype) -> Tensor:
    """[rows, columns]: what they stand for."""
    return (rows.values.float() * rows.scales).to(dtype)


def empty_rows(x: Tensor) -> Fp8Rows:
    """Room for x [T, D], to be filled."""
    rows, columns = x.shape
    values = torch.empty(rows, columns, dtype=DTYPE, device=x.device)
    return Fp8Rows(values, torch.empty(rows, 1, dtype=torch.float32, device=x.device))


def quantize_rows(x: Tensor, column_factors: Tensor | None = None, into: Fp8Rows | None = None) -> Fp8Rows:
    """x [T, D] (rows may be spaced), times `column_factors` [D] where given; into: where given, written to."""
    return (quantize_rows_kernel if uses_kernel(x) else quantize_rows_reference)(x, column_factors, into)


def quantize_rows_reference(x: Tensor, column_factors: Tensor | None = None, into: Fp8Rows | None = None) -> Fp8Rows:
    x = x.float() if column_factors is None else x.float() * column_factors
    scales = (x.abs().amax(1, keepdim=True) * PER_LARGEST.value).clamp_(min=SMALLEST_SCALE.value)
    values = (x * scales.reciprocal()).clamp_(-LARGEST.value, LARGEST.value).to(DTYPE)
    if into is None:
        return Fp8Rows(values, scales)
    into.values.view(torch.uint8).copy_(values.view(torch.uint8))
    into.scales.copy_(scales)
    return into


def quantize_rows_kernel(x: Tensor, column_factors: Tensor | None = None, into: Fp8Rows | None = None) -> Fp8Rows:
    rows, columns = x.shape
    into = into or empty_rows(x)
    is_short = columns <= SHORT
    block = triton.next_power_of_2(columns) if is_short else BLOCK
    with on_device_of(x):
        (_quantize_short_rows if is_short else _quantize_rows)[(rows,)](
            x, column_factors, into.values, into.scales, x.stride(0), COLUMNS=columns,
            SCALED=column_factors is not None, BLOCK=block, num_warps=max(1, min(16, block // 512)),
            enable_fp_fusion=False,
        )  # fmt: skip
    return into


@triton.jit
def _quantize_rows(  # type: ignore[no-untyped-def]
    x, column_factors, values, scales, row_stride, COLUMNS: tl.constexpr, SCALED: tl.constexpr, BLOCK: tl.constexpr
):
    """One row a program: its largest magnitude, then its quotients; the second read is of the cache."""
    row = tl.program_id(0).to(tl.int64)
    x += row * row_stride
    columns = tl.arange(0, BLOCK)
    tops = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, COLUMNS, BLOCK):
        tops = tl.maximum(tops, tl.abs(_load(x, column_factors, start + columns, COLUMNS, SCALED)))
    scale = scale_of(tl.max(tops, axis=0))
    tl.store(scales + row, scale)
    inverse = inverse_of(scale)
    for start in range(0, COLUMNS, BLOCK):
        eight = eight_bits(_load(x, column_factors, start + columns, COLUMNS, SCALED) * inverse)
        place = values + row * COLUMNS + start + columns
        tl.store(place, eight.to(values.dtype.element_ty), mask=start + columns < COLUMNS)


@triton.jit
def _quantize_short_rows(  # type: ignore[no-untyped-def]
    x, column_factors, values, scales, row_stride, COLUMNS: tl.constexpr, SCALED: tl.constexpr, BLOCK: tl.constexpr
):
    """The same for rows that a program holds at once."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    value = _load(x + row * row_stride, column_factors, columns, COLUMNS, SCALED)
    scale = scale_of(tl.max(tl.abs(value), axis=0))
    tl.store(scales + row, scale)
    eight = eight_bits(value * inverse_of(scale)).to(values.dtype.element_ty)
    tl.store(values + row * COLUMNS + columns, eight, mask=columns < COLUMNS)


@triton.jit
def scale_of(largest):  # type: ignore[no-untyped-def]
    """Of a row with this largest magnitude."""
    return tl.maximum(largest * PER_LARGEST, SMALLEST_SCALE)


@triton.jit
def inverse_of(scale):  # type: ignore[no-untyped-def]
    """What a row is multiplied by."""
    return tl.div_rn(scale * 0.0 + 1.0, scale)


@triton.jit
def _load(x, column_factors, columns, COLUMNS: tl.constexpr, SCALED: tl.constexpr):  # type: ignore[no-untyped-def]
    values = tl.load(x + columns, mask=columns < COLUMNS, other=0.0).to(tl.float32)
    if SCALED:
        values *= tl.load(column_factors + columns, mask=columns < COLUMNS, other=0.0)
    return values


@triton.jit
def eight_bits(x):  # type: ignore[no-untyped-def]
    """float32 within the range of e4m3, ready for the cast: in the interpreter, whose own does not round, the nearest
    number that e4m3 has; elsewhere x as it is, since the hardware's cast rounds, and saturates a last bit above 448."""
    if INTERPRETED:
        bits = x.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFFF + ((bits >> 20) & 1)) & 0xFFF00000
        # Below 2^-6 steps are 2^-9: adding a number whose last place is that rounds to them.
        x = tl.where(tl.abs(x) < 0.015625, (x + 24576.0) - 24576.0, bits.to(tl.float32, bitcast=True))
    return x
