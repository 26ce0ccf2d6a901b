"""activation(gate) * up: SwiGLU, GEGLU exact and GEGLU tanh, one launch each way.

The activation is rounded to the storage type before the product, as eager code does. Backward recomputes the product,
so that nothing but gate and up need be kept, and may write over what it reads. Tensors are [T, F] with stride 1 in the
last dimension: gate and up may be the two halves of one buffer.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from tui_tuner.kernels.checking import Check, check_against, leaf, timed
from tui_tuner.kernels.launch import on_device_of, rounded, uses_kernel, wide

Activation = Literal["silu", "gelu", "gelu_tanh"]
BLOCK = 1024
SQRT_HALF = tl.constexpr(math.sqrt(0.5))
SQRT_2_OVER_PI = tl.constexpr(math.sqrt(2.0 / math.pi))
INVERSE_SQRT_2_PI = tl.constexpr(1.0 / math.sqrt(2.0 * math.pi))
CUBIC = tl.constexpr(0.044715)


@dataclass(frozen=True, slots=True)
class GatedGradients:
    """What backward writes. Each may be the storage of one of its inputs."""

    gate: Tensor
    up: Tensor
    product: Tensor | None
    """activation(gate) * up once more, for the gradient of the adapter after it; None where it is not wanted."""


def gated_product(gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
    """activation(gate) * up for [..., F], with gradients."""
    width = gate.shape[-1]
    product: Tensor = _GatedProduct.apply(gate.reshape(-1, width), up.reshape(-1, width), activation)
    return product.view(gate.shape)


def forward(gate: Tensor, up: Tensor, activation: Activation, product: Tensor | None = None) -> Tensor:
    """Kernel or reference, by `uses_kernel`. `product`, where given, is written to."""
    return (forward_kernel if uses_kernel(gate) else forward_reference)(gate, up, activation, product)


def backward(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, into: GatedGradients) -> None:
    """Gradients of gate and up from that of the product, and the product itself, into `into`.

    In place: `GatedGradients(gate, up, grad)`.
    """
    (backward_kernel if uses_kernel(gate) else backward_reference)(grad, gate, up, activation, into)


def new_gradients(gate: Tensor, *, with_product: bool) -> GatedGradients:
    """Fresh contiguous tensors for `backward` to write to."""
    tensors = [torch.empty(gate.shape, dtype=gate.dtype, device=gate.device) for _ in range(2 + with_product)]
    return GatedGradients(tensors[0], tensors[1], tensors[2] if with_product else None)


def forward_reference(gate: Tensor, up: Tensor, activation: Activation, product: Tensor | None = None) -> Tensor:
    result = _activated(gate, activation) * up
    return result if product is None else product.copy_(result)


def backward_reference(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, into: GatedGradients) -> None:
    activated = _activated(gate, activation)
    grad_gate = (wide(grad) * wide(up) * _slope(wide(gate), activation)).to(gate.dtype)
    grad_up, product = grad * activated, activated * up
    into.gate.copy_(grad_gate)
    into.up.copy_(grad_up)
    if into.product is not None:
        into.product.copy_(product)


def _activated(gate: Tensor, activation: Activation) -> Tensor:
    if activation == "silu":
        return functional.silu(gate)
    return functional.gelu(gate, approximate="tanh" if activation == "gelu_tanh" else "none")


def _slope(gate: Tensor, activation: Activation) -> Tensor:
    if activation == "silu":
        sigmoid = torch.sigmoid(gate)
        return sigmoid * (1.0 + gate * (1.0 - sigmoid))
    if activation == "gelu":
        density = torch.exp(-0.5 * gate.square()) * INVERSE_SQRT_2_PI.value
        return 0.5 * (1.0 + torch.erf(gate * SQRT_HALF.value)) + gate * density
    inner = SQRT_2_OVER_PI.value * (gate + CUBIC.value * gate**3)
    sigmoid = torch.sigmoid(2.0 * inner)
    slope_of_inner = SQRT_2_OVER_PI.value * (1.0 + 3.0 * CUBIC.value * gate.square())
    return sigmoid + 2.0 * gate * sigmoid * (1.0 - sigmoid) * slope_of_inner


def forward_kernel(gate: Tensor, up: Tensor, activation: Activation, product: Tensor | None = None) -> Tensor:
    rows, width = gate.shape
    product = torch.empty(gate.shape, dtype=gate.dtype, device=gate.device) if product is None else product
    with on_device_of(gate):
        _forward[(rows, triton.cdiv(width, BLOCK))](
            gate, gate.stride(0), up, up.stride(0), product, product.stride(0), width,
            ACTIVATION=activation, BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip
    return product


def backward_kernel(grad: Tensor, gate: Tensor, up: Tensor, activation: Activation, into: GatedGradients) -> None:
    rows, width = gate.shape
    product_stride = 0 if into.product is None else into.product.stride(0)
    with on_device_of(gate):
        _backward[(rows, triton.cdiv(width, BLOCK))](
            grad, grad.stride(0), gate, gate.stride(0), up, up.stride(0),
            into.gate, into.gate.stride(0), into.up, into.up.stride(0), into.product, product_stride, width,
            AGAIN=into.product is not None, ACTIVATION=activation, BLOCK=BLOCK, num_warps=4, enable_fp_fusion=False,
        )  # fmt: skip


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    gate, gate_row, up, up_row, product, product_row, width, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    gate_value = tl.load(gate + row * gate_row + column, inside, 0.0).to(tl.float32)
    up_value = tl.load(up + row * up_row + column, inside, 0.0).to(tl.float32)
    result = product_of(gate_value, up_value, product.dtype.element_ty, ACTIVATION)
    tl.store(product + row * product_row + column, result, inside)


@triton.jit
def _backward(  # type: ignore[no-untyped-def]
    grad, grad_row, gate, gate_row, up, up_row, grad_gate, grad_gate_row, grad_up, grad_up_row, product, product_row,
    width, AGAIN: tl.constexpr, ACTIVATION: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    grad_value = tl.load(grad + row * grad_row + column, inside, 0.0).to(tl.float32)
    gate_value = tl.load(gate + row * gate_row + column, inside, 0.0).to(tl.float32)
    up_value = tl.load(up + row * up_row + column, inside, 0.0).to(tl.float32)
    dtype: tl.constexpr = grad_gate.dtype.element_ty
    of_gate, of_up, result = gradients_of(grad_value, gate_value, up_value, dtype, ACTIVATION)
    tl.store(grad_gate + row * grad_gate_row + column, of_gate, inside)
    tl.store(grad_up + row * grad_up_row + column, of_up, inside)
    if AGAIN:
        tl.store(product + row * product_row + column, result, inside)


@triton.jit
def product_of(gate, up, dtype: tl.constexpr, ACTIVATION: tl.constexpr):  # type: ignore[no-untyped-def]
    """activation(gate) * up in `dtype`, of float32 values; for every kernel that makes it."""
    activated, _ = _activation_and_slope(gate, ACTIVATION)
    return rounded(rounded(activated, dtype).to(tl.float32) * up, dtype)


@triton.jit
def gradients_of(grad, gate, up, dtype: tl.constexpr, ACTIVATION: tl.constexpr):  # type: ignore[no-untyped-def]
    """Those of gate and of up, and the product once more, all in `dtype`."""
    activated, slope = _activation_and_slope(gate, ACTIVATION)
    activated = rounded(activated, dtype).to(tl.float32)
    return rounded(grad * up * slope, dtype), rounded(grad * activated, dtype), rounded(activated * up, dtype)


@triton.jit
def _activation_and_slope(gate, ACTIVATION: tl.constexpr):  # type: ignore[no-untyped-def]
    if ACTIVATION == "silu":
        sigmoid = tl.sigmoid(gate)
        return gate * sigmoid, sigmoid * (1.0 + gate * (1.0 - sigmoid))
    elif ACTIVATION == "gelu":  # noqa: RET505
        cumulative = 0.5 * (1.0 + tl.math.erf(gate * SQRT_HALF))
        return gate * cumulative, cumulative + gate * tl.exp(-0.5 * gate * gate) * INVERSE_SQRT_2_PI
    else:
        # (1 + tanh(z)) / 2 = sigmoid(2 z), which loses nothing where tanh(z) is near -1.
        inner = SQRT_2_OVER_PI * (gate + CUBIC * gate * gate * gate)
        sigmoid = tl.sigmoid(2.0 * inner)
        slope_of_inner = SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * gate * gate)
        return gate * sigmoid, sigmoid + 2.0 * gate * sigmoid * (1.0 - sigmoid) * slope_of_inner


class _GatedProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor, activation: Activation) -> Tensor:
        ctx.save_for_backward(gate, up)
        ctx.activation = activation
        return forward(gate, up, activation)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        gate, up = ctx.saved_tensors
        into = new_gradients(gate, with_product=False)
        backward(grads[0].contiguous(), gate, up, ctx.activation, into)
        return into.gate, into.up, None


def checks(device: torch.device) -> Iterator[Check]:
    """Product and gradients of each activation, beside plain torch in the same dtype."""
    names: tuple[tuple[str, Activation], ...] = (("SwiGLU", "silu"), ("GEGLU", "gelu"), ("GEGLU, tanh", "gelu_tanh"))
    for name, activation in names:
        for dtype in (torch.float32, torch.float16, torch.bfloat16):
            yield from _check(name, activation, dtype, device)


def _check(name: str, activation: Activation, dtype: torch.dtype, device: torch.device) -> Iterator[Check]:
    generator = torch.Generator(device).manual_seed(1)
    both = (3.0 * torch.randn(1024, 2 * 4096, generator=generator, device=device)).to(dtype)
    gate, up = both[:, :4096], both[:, 4096:]
    grad = torch.randn(gate.shape, generator=generator, device=device).to(dtype)

    into = new_gradients(gate, with_product=True)
    backward(grad, gate, up, activation, into)
    calls: tuple[Callable[[], object], ...] = (
        lambda: forward(gate, up, activation),
        lambda: backward(grad, gate, up, activation, into),
    )
    got = (forward(gate, up, activation), into.gate, into.up)
    exact, usual = (eager(gate, up, grad, activation, kept) for kept in (torch.float64, dtype))
    yield timed(check_against(name, got[0], exact[0], usual[0]), calls[0], 3 * grad.nbytes)
    yield timed(check_against(name + ", dgate", got[1], exact[1], usual[1]), calls[1], 6 * grad.nbytes)
    yield check_against(name + ", dup", got[2], exact[2], usual[2])


def eager(
    gate: Tensor, up: Tensor, grad: Tensor, activation: Activation, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Product, dgate and dup by autograd, as models' own code computes them in `dtype`."""
    inputs = leaf(gate, dtype), leaf(up, dtype)
    product = _activated(inputs[0], activation) * inputs[1]
    dgate, dup = torch.autograd.grad(product, inputs, grad.to(dtype))
    return product.detach(), dgate, dup
