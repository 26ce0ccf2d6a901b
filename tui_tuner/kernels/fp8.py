"""Frozen base weights in 8-bit floats (e4m3) with one scale a row; activations are quantised row by row on the way in.

    forward   y = x W^T: x has a scale for each token, W one for each output.
    backward  dx = dy W: W's scales lie along the sum here, so they are multiplied into dy before that is quantised.

Hardware multiplies both operands with the summed dimension last, so backward needs the transposed bytes: kept beside
the weight, or made in a scratch buffer at each use. Adapters and head stay in 16 bits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, dtype_name, relative_error, timed
from tui_tuner.kernels.launch import INTERPRETED, on_device_of, uses_kernel

DTYPE = torch.float8_e4m3fn
LARGEST = 448.0
"""The largest finite number of e4m3."""
_PER_LARGEST = 1.0 / LARGEST
"""A factor, not a divisor: torch multiplies by the inverse on a GPU and divides on a CPU, a last bit apart, and where a
quotient lies half-way between two numbers that bit decides its byte."""
ALIGNMENT = 16
"""Both dimensions of a weight must be multiples of this."""


@dataclass(frozen=True, slots=True)
class Fp8Rows:
    """A matrix as bytes and scales: values * scales is what it stands for."""

    values: Tensor
    """[rows, columns] e4m3."""
    scales: Tensor
    """[rows, 1] float32."""


@dataclass(frozen=True, slots=True)
class Fp8Weight:
    """A frozen weight [out, in]."""

    rows: Fp8Rows
    transposed: Tensor | None = None
    """[in, out] e4m3; None where backward makes it in a scratch."""


def is_supported(device: torch.device) -> bool:
    """Whether the device multiplies e4m3 matrices: compute capability 8.9 or more."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 9)


def quantized_weight(weight: Tensor, *, keep_transposed: bool) -> Fp8Weight:
    """Done once, when the model is loaded.

    Raises:
        ValueError: a dimension is not a multiple of 16.
    """
    if weight.shape[0] % ALIGNMENT or weight.shape[1] % ALIGNMENT:
        raise ValueError(f"fp8 needs dimensions that are multiples of {ALIGNMENT}, not {tuple(weight.shape)}")
    rows = quantize_rows(weight)
    return Fp8Weight(rows, _transposed(rows.values) if keep_transposed else None)


def forward(x: Fp8Rows, weight: Fp8Weight, out: Tensor) -> Tensor:
    """x [T, in] quantised by `quantize_rows` -> `out` [T, out] in bfloat16 or float32."""
    return _scaled_product(x, weight.rows.values.t(), weight.rows.scales.t(), out)


def backward(dy: Tensor, weight: Fp8Weight, out: Tensor, scratch: Tensor | None = None) -> Tensor:
    """dy [T, out] -> gradient of x in `out` [T, in]; scratch [in, out] e4m3 where the weight keeps no transpose."""
    quantized = quantize_rows(dy, weight.rows.scales.view(-1))
    transposed = weight.transposed
    if transposed is None:
        transposed = _transposed(weight.rows.values, scratch)
    ones = torch.ones(1, transposed.shape[0], device=dy.device)
    return _scaled_product(quantized, transposed.t(), ones, out)


def _transposed(values: Tensor, out: Tensor | None = None) -> Tensor:
    """As bytes, since torch moves those on every device."""
    flipped = values.view(torch.uint8).t()
    if out is None:
        return flipped.contiguous().view(DTYPE)
    out.view(torch.uint8).copy_(flipped)
    return out


def _scaled_product(x: Fp8Rows, right: Tensor, right_scales: Tensor, out: Tensor) -> Tensor:
    if not x.values.is_cuda:
        return out.copy_((x.values.float() * x.scales) @ (right.float() * right_scales))
    return torch._scaled_mm(
        x.values, right, scale_a=x.scales, scale_b=right_scales, out_dtype=out.dtype, use_fast_accum=False, out=out
    )


def quantize_rows(x: Tensor, column_factors: Tensor | None = None) -> Fp8Rows:
    """x [T, D] (rows may be spaced), times `column_factors` [D] where given: its rows divided by amax * (1 / 448)."""
    return (quantize_rows_kernel if uses_kernel(x) else quantize_rows_reference)(x, column_factors)


def quantize_rows_reference(x: Tensor, column_factors: Tensor | None = None) -> Fp8Rows:
    x = x.float() if column_factors is None else x.float() * column_factors
    scales = (x.abs().amax(1, keepdim=True) * _PER_LARGEST).clamp_(min=1e-30)
    return Fp8Rows((x / scales).clamp_(-LARGEST, LARGEST).to(DTYPE), scales)


def quantize_rows_kernel(x: Tensor, column_factors: Tensor | None = None) -> Fp8Rows:
    rows, columns = x.shape
    values = torch.empty(rows, columns, dtype=DTYPE, device=x.device)
    scales = torch.empty(rows, 1, dtype=torch.float32, device=x.device)
    block = min(16384, triton.next_power_of_2(columns))
    with on_device_of(x):
        _quantize_rows[(rows,)](
            x, column_factors, values, scales, x.stride(0), COLUMNS=columns, SCALED=column_factors is not None,
            LARGEST=LARGEST, PER_LARGEST=_PER_LARGEST, BLOCK=block, num_warps=max(1, min(16, block // 512)),
            enable_fp_fusion=False,
        )  # fmt: skip
    return Fp8Rows(values, scales)


def checks(device: torch.device) -> Iterator[Check]:
    """Quantised products against float64; e4m3 keeps 3 bits, so 5 % is what rows of normal numbers may be off."""
    if not is_supported(device):
        return
    generator = torch.Generator(device).manual_seed(12)
    x = torch.randn(512, 1024, generator=generator, device=device).to(torch.bfloat16)
    w = torch.randn(768, 1024, generator=generator, device=device).to(torch.bfloat16)
    weight = quantized_weight(w, keep_transposed=False)
    out = torch.empty(512, 768, dtype=torch.bfloat16, device=device)
    forward(quantize_rows(x), weight, out)
    name = dtype_name(DTYPE)
    yield Check("fp8 product", name, relative_error(out, x.double() @ w.double().T), 0.05)
    grad, scratch = torch.empty_like(x), torch.empty(1024, 768, dtype=DTYPE, device=device)
    backward(out, weight, grad, scratch)
    yield Check("fp8 gradient", name, relative_error(grad, out.double() @ w.double()), 0.05)
    ours, wanted = quantize_rows(x), quantize_rows_reference(x)
    differing = float((ours.values.float() != wanted.values.float()).sum())
    check = Check("fp8 quantising, bytes that differ", dtype_name(x.dtype), differing, 0.0)
    yield timed(check, lambda: quantize_rows(x), x.numel() * 3)


@triton.jit
def _quantize_rows(  # type: ignore[no-untyped-def]
    x,
    column_factors,
    values,
    scales,
    row_stride,
    COLUMNS: tl.constexpr,
    SCALED: tl.constexpr,
    LARGEST: tl.constexpr,
    PER_LARGEST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One row a program: its largest magnitude, then its quotients; the second read is of the cache."""
    row = tl.program_id(0).to(tl.int64)
    x += row * row_stride
    columns = tl.arange(0, BLOCK)
    tops = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, COLUMNS, BLOCK):
        tops = tl.maximum(tops, tl.abs(_load(x, column_factors, start + columns, COLUMNS, SCALED)))
    scale = tl.maximum(tl.max(tops, axis=0) * PER_LARGEST, 1e-30)
    tl.store(scales + row, scale)
    for start in range(0, COLUMNS, BLOCK):
        quotient = tl.div_rn(_load(x, column_factors, start + columns, COLUMNS, SCALED), scale)
        quotient = tl.minimum(tl.maximum(quotient, -LARGEST), LARGEST)
        place = values + row * COLUMNS + start + columns
        tl.store(place, _as_e4m3(quotient).to(values.dtype.element_ty), mask=start + columns < COLUMNS)


@triton.jit
def _load(x, column_factors, columns, COLUMNS: tl.constexpr, SCALED: tl.constexpr):  # type: ignore[no-untyped-def]
    values = tl.load(x + columns, mask=columns < COLUMNS, other=0.0).to(tl.float32)
    if SCALED:
        values *= tl.load(column_factors + columns, mask=columns < COLUMNS, other=0.0)
    return values


@triton.jit
def _as_e4m3(x):  # type: ignore[no-untyped-def]
    """In the interpreter, whose own cast does not round, the nearest number that e4m3 has; elsewhere x as it is."""
    if INTERPRETED:
        bits = x.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFFF + ((bits >> 20) & 1)) & 0xFFF00000
        # Below 2^-6 steps are 2^-9: adding a number whose last place is that rounds to them.
        x = tl.where(tl.abs(x) < 0.015625, (x + 24576.0) - 24576.0, bits.to(tl.float32, bitcast=True))
    return x
