"""The gated product and its gradients for a base in 8 bits: what the next product reads is quantised as it is made.

One program a row, twice over it: the second time it reads what it has just written, which is in the cache. Results are
those of `gated_product`, and the bytes those of `fp8_rows` for them.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels import gated_product
from tui_tuner.kernels.fp8_rows import Fp8Rows, eight_bits, inverse_of, quantize_rows_reference, scale_of
from tui_tuner.kernels.gated_product import Activation, GatedGradients, gradients_of, product_of
from tui_tuner.kernels.launch import on_device_of, uses_kernel

FORWARD_BLOCK, BACKWARD_BLOCK = 8192, 4096
WARPS = 32
"""The fastest of 16 tilings on an H200; so few rows are on their way that they stay in the cache until their second
reading."""


def forward(gate: Tensor, up: Tensor, activation: Activation, product: Tensor, eight: Fp8Rows) -> None:
    """activation(gate) * up [T, F] into `product`, and in 8 bits into `eight`."""
    (forward_kernel if uses_kernel(gate) else forward_reference)(gate, up, activation, product, eight)


def backward(
    grad: Tensor,
    gate: Tensor,
    up: Tensor,
    activation: Activation,
    into: GatedGradients,
    factors: Tensor,
    eight: Fp8Rows,
) -> None:
    """As `gated_product.backward`; gradients of gate and up beside each other, times `factors` [2 F], into `eight`."""
    run = backward_kernel if uses_kernel(gate) else backward_reference
    run(grad, gate, up, activation, into, factors, eight)


def forward_reference(gate: Tensor, up: Tensor, activation: Activation, product: Tensor, eight: Fp8Rows) -> None:
    quantize_rows_reference(gated_product.forward_reference(gate, up, activation, product), into=eight)


def backward_reference(
    grad: Tensor,
    gate: Tensor,
    up: Tensor,
    activation: Activation,
    into: GatedGradients,
    factors: Tensor,
    eight: Fp8Rows,
) -> None:
    gated_product.backward_reference(grad, gate, up, activation, into)
    quantize_rows_reference(torch.cat((into.gate, into.up), 1), factors, eight)


def forward_kernel(gate: Tensor, up: Tensor, activation: Activation, product: Tensor, eight: Fp8Rows) -> None:
    rows, width = gate.shape
    with on_device_of(gate):
        _forward[(rows,)](
            gate, gate.stride(0), up, up.stride(0), product, product.stride(0), eight.values, eight.scales,
            WIDTH=width, ACTIVATION=activation, BLOCK=_block(width, FORWARD_BLOCK), num_warps=WARPS,
            enable_fp_fusion=False,
        )  # fmt: skip


def backward_kernel(
    grad: Tensor,
    gate: Tensor,
    up: Tensor,
    activation: Activation,
    into: GatedGradients,
    factors: Tensor,
    eight: Fp8Rows,
) -> None:
    rows, width = gate.shape
    product_stride = 0 if into.product is None else into.product.stride(0)
    with on_device_of(gate):
        _backward[(rows,)](
            grad, grad.stride(0), gate, gate.stride(0), up, up.stride(0),
            into.gate, into.gate.stride(0), into.up, into.up.stride(0), into.product, product_stride,
            factors, eight.values, eight.scales, WIDTH=width, AGAIN=into.product is not None, ACTIVATION=activation,
            BLOCK=_block(width, BACKWARD_BLOCK), num_warps=WARPS, enable_fp_fusion=False,
        )  # fmt: skip


def _block(width: int, most: int) -> int:
    return min(most, triton.next_power_of_2(width))


@triton.jit
def _inverse_scale(tops, place):  # type: ignore[no-untyped-def]
    """Of a row with these largest values; notes its scale. All may read afterwards what was written to the row."""
    scale = scale_of(tl.max(tops, 0))
    tl.store(place, scale)
    # Other threads may read what this one wrote.
    tl.debug_barrier()
    return inverse_of(scale)


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    gate, gate_row, up, up_row, product, product_row, eight, scales,
    WIDTH: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    dtype: tl.constexpr = product.dtype.element_ty
    tops = tl.zeros([BLOCK], tl.float32)
    for start in range(0, WIDTH, BLOCK):
        column = start + tl.arange(0, BLOCK)
        inside = column < WIDTH
        gate_value = tl.load(gate + row * gate_row + column, inside, 0.0).to(tl.float32)
        up_value = tl.load(up + row * up_row + column, inside, 0.0).to(tl.float32)
        result = product_of(gate_value, up_value, dtype, ACTIVATION)
        tl.store(product + row * product_row + column, result, inside)
        tops = tl.maximum(tops, tl.abs(result.to(tl.float32)))
    inverse = _inverse_scale(tops, scales + row)
    for start in range(0, WIDTH, BLOCK):
        column = start + tl.arange(0, BLOCK)
        inside = column < WIDTH
        value = tl.load(product + row * product_row + column, inside, 0.0).to(tl.float32)
        tl.store(eight + row * WIDTH + column, eight_bits(value * inverse).to(eight.dtype.element_ty), inside)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    grad, grad_row, gate, gate_row, up, up_row, grad_gate, grad_gate_row, grad_up, grad_up_row, product, product_row,
    factors, eight, scales, WIDTH: tl.constexpr, AGAIN: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    dtype: tl.constexpr = grad_gate.dtype.element_ty
    tops = tl.zeros([BLOCK], tl.float32)
    for start in range(0, WIDTH, BLOCK):
        column = start + tl.arange(0, BLOCK)
        inside = column < WIDTH
        grad_value = tl.load(grad + row * grad_row + column, inside, 0.0).to(tl.float32)
        gate_value = tl.load(gate + row * gate_row + column, inside, 0.0).to(tl.float32)
        up_value = tl.load(up + row * up_row + column, inside, 0.0).to(tl.float32)
        of_gate, of_up, result = gradients_of(grad_value, gate_value, up_value, dtype, ACTIVATION)
        tl.store(grad_gate + row * grad_gate_row + column, of_gate, inside)
        tl.store(grad_up + row * grad_up_row + column, of_up, inside)
        if AGAIN:
            tl.store(product + row * product_row + column, result, inside)
        gate_top = tl.abs(of_gate.to(tl.float32) * tl.load(factors + column, inside, 0.0))
        up_top = tl.abs(of_up.to(tl.float32) * tl.load(factors + WIDTH + column, inside, 0.0))
        tops = tl.maximum(tops, tl.maximum(gate_top, up_top))
    inverse = _inverse_scale(tops, scales + row)
    eight += row * 2 * WIDTH
    for start in range(0, WIDTH, BLOCK):
        column = start + tl.arange(0, BLOCK)
        inside = column < WIDTH
        value = tl.load(grad_gate + row * grad_gate_row + column, inside, 0.0).to(tl.float32)
        value *= tl.load(factors + column, inside, 0.0)
        tl.store(eight + column, eight_bits(value * inverse).to(eight.dtype.element_ty), inside)
        value = tl.load(grad_up + row * grad_up_row + column, inside, 0.0).to(tl.float32)
        value *= tl.load(factors + WIDTH + column, inside, 0.0)
        tl.store(eight + WIDTH + column, eight_bits(value * inverse).to(eight.dtype.element_ty), inside)
