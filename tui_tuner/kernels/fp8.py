"""Frozen base weights in 8-bit floats (e4m3) with one scale a row; activations are quantised row by row on the way in.

    forward   y = x W^T: x has a scale for each token, W one for each output.
    backward  dx = dy W: W's scales lie along the sum here, so they are multiplied into dy before that is quantised.

Hardware multiplies both operands with the summed dimension last, so backward needs the transposed bytes: kept beside
the weight, or made in a scratch buffer at each use. Adapters and head stay in 16 bits. Gradients are e4m3 as well: with
a scale a row their range is no concern, and e5m2 would double the error (docs/performance.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, dtype_name, relative_error, timed
from tui_tuner.kernels.fp8_rows import DTYPE, Fp8Rows, quantize_rows, quantize_rows_reference
from tui_tuner.kernels.launch import on_device_of

FAST_FORWARD = True
"""Whether tensor cores keep forward's sums, in fewer bits than float32: little beside 3 bits of each factor. Those of
gradients, whose errors add up over all layers, are kept in float32."""
ALIGNMENT = 16
"""Both dimensions of a weight must be multiples of this."""
TILE = 128
"""Rows and columns that one program transposes."""


@dataclass(frozen=True, slots=True)
class Fp8Weight:
    """A frozen weight [out, in]."""

    rows: Fp8Rows
    one: Tensor
    """Scalar float32: the scale of both sides of backward's product."""
    transposed: Tensor | None = None
    """[in, out] e4m3; None where backward makes it in a scratch."""

    @property
    def column_factors(self) -> Tensor:
        """[out]: what columns of dy are multiplied by before they are quantised."""
        return self.rows.scales.view(-1)


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
    return fp8_weight(quantize_rows(weight), keep_transposed=keep_transposed)


def fp8_weight(rows: Fp8Rows, *, keep_transposed: bool) -> Fp8Weight:
    """From bytes and scales that are there already, which are not copied."""
    one = torch.ones((), device=rows.values.device)
    return Fp8Weight(rows, one, transposed(rows.values) if keep_transposed else None)


def forward(x: Fp8Rows, weight: Fp8Weight, out: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [T, in] quantised by `quantize_rows` -> `out` [T, out], contiguous; a GPU wants bfloat16."""
    right, scales = weight.rows.values.t(), (x.scales, weight.rows.scales.t())
    return _scaled_product(x.values, right, scales, out, bias, fast=FAST_FORWARD)


def backward(dy: Fp8Rows, weight: Fp8Weight, out: Tensor, scratch: Tensor | None = None) -> Tensor:
    """dy [T, out], quantised with the weight's `column_factors` -> gradient of x in `out` [T, in], contiguous, but for
    dy's scales: each row is still to be multiplied by its own. Hardware is faster with one scale for all rows.

    scratch: [in, out] e4m3, written to where the weight keeps no transpose.
    """
    right = weight.transposed
    if right is None:
        right = transposed(weight.rows.values, scratch)
    return _scaled_product(dy.values, right.t(), (weight.one, weight.one), out, None, fast=False)


def transposed(values: Tensor, out: Tensor | None = None) -> Tensor:
    """[rows, columns] e4m3 -> [columns, rows], into `out` where given."""
    if out is None:
        out = torch.empty(values.shape[1], values.shape[0], dtype=DTYPE, device=values.device)
    source, target = values.view(torch.uint8), out.view(torch.uint8)
    if values.is_cuda:
        transpose_kernel(source, target)
    else:
        target.copy_(source.t())
    return out


def transpose_kernel(source: Tensor, target: Tensor) -> None:
    """Bytes [rows, columns], contiguous, into [columns, rows]. Torch's own copy reads or writes single bytes."""
    rows, columns = source.shape
    with on_device_of(source):
        _transpose[(triton.cdiv(rows, TILE), triton.cdiv(columns, TILE))](
            source, target, rows, columns, TILE=TILE, num_warps=8
        )


def _scaled_product(
    left: Tensor, right: Tensor, scales: tuple[Tensor, Tensor], out: Tensor, bias: Tensor | None, *, fast: bool
) -> Tensor:
    if not left.is_cuda:
        product = (left.float() * scales[0]) @ (right.float() * scales[1])
        return out.copy_(product if bias is None else product + bias.float())
    return torch._scaled_mm(
        left, right, scale_a=scales[0], scale_b=scales[1], bias=bias, out_dtype=out.dtype, use_fast_accum=fast, out=out
    )


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
    rows = quantize_rows(out, weight.column_factors)
    backward(rows, weight, grad, scratch)
    yield Check("fp8 gradient", name, relative_error(grad * rows.scales, out.double() @ w.double()), 0.05)
    ours, wanted = quantize_rows(x), quantize_rows_reference(x)
    differing = float((ours.values.float() != wanted.values.float()).sum())
    check = Check("fp8 quantising, bytes that differ", dtype_name(x.dtype), differing, 0.0)
    yield timed(check, lambda: quantize_rows(x), x.numel() * 3)


@triton.jit
def _transpose(source, target, rows, columns, TILE: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    column = tl.program_id(1).to(tl.int64) * TILE + tl.arange(0, TILE)
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    tile = tl.load(source + row[:, None] * columns + column[None, :], inside, 0)
    flipped = (column < columns)[:, None] & (row < rows)[None, :]
    tl.store(target + column[:, None] * rows + row[None, :], tl.trans(tile), flipped)
