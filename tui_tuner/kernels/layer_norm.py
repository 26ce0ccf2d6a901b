"""LayerNorm, with or without a bias, and its gradients in one pass.

Computed in float32 and rounded once. Inputs are [T, D] with stride 1 in the last dimension.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.nn import functional

from tui_tuner.kernels.checking import Check, check_against, leaf, timed
from tui_tuner.kernels.launch import on_device_of, persistent_programs, rounded, uses_kernel, warps_for, wide


@dataclass(frozen=True, slots=True)
class LayerNormed:
    output: Tensor
    mean: Tensor
    """[T] float32."""
    rstd: Tensor
    """[T] float32."""


@dataclass(frozen=True, slots=True)
class LayerNormGradients:
    x: Tensor
    weight: Tensor | None
    """float32 [D]; None unless asked for."""
    bias: Tensor | None
    """float32 [D]; None unless asked for."""


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """LayerNorm over the last dimension of [..., D], with gradients."""
    output: Tensor = _LayerNorm.apply(x.reshape(-1, x.shape[-1]), weight, bias, eps)
    return output.view(x.shape)


def forward(x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, output: Tensor | None = None) -> LayerNormed:
    """Kernel or reference, by `uses_kernel`. `output`, where given, is written to."""
    return (forward_kernel if uses_kernel(x) else forward_reference)(x, weight, bias, eps, output)


def backward(
    grad: Tensor, x: Tensor, saved: LayerNormed, weight: Tensor, *, trains: bool, grad_x: Tensor | None = None
) -> LayerNormGradients:
    """trains: whether the gradients of weight and bias are wanted. grad_x: written to; may be `grad` itself."""
    run = backward_kernel if uses_kernel(x) else backward_reference
    return run(grad, x, saved, weight, trains=trains, grad_x=grad_x)


def forward_reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, output: Tensor | None = None
) -> LayerNormed:
    mean = wide(x).mean(-1)
    centred = wide(x) - mean.unsqueeze(-1)
    rstd = torch.rsqrt(centred.square().mean(-1) + eps)
    result = centred * rstd.unsqueeze(-1) * wide(weight)
    result = (result if bias is None else result + wide(bias)).to(x.dtype)
    return LayerNormed(result if output is None else output.copy_(result), mean, rstd)


def backward_reference(
    grad: Tensor, x: Tensor, saved: LayerNormed, weight: Tensor, *, trains: bool, grad_x: Tensor | None = None
) -> LayerNormGradients:
    rstd = saved.rstd.unsqueeze(-1)
    normed = (wide(x) - saved.mean.unsqueeze(-1)) * rstd
    scaled = wide(grad) * wide(weight)
    dx = rstd * (scaled - scaled.mean(-1, keepdim=True) - normed * (scaled * normed).mean(-1, keepdim=True))
    dw = (wide(grad) * normed).sum(0) if trains else None
    db = wide(grad).sum(0) if trains else None
    return LayerNormGradients(dx.to(x.dtype) if grad_x is None else grad_x.copy_(dx), dw, db)


def forward_kernel(
    x: Tensor, weight: Tensor, bias: Tensor | None, eps: float, output: Tensor | None = None
) -> LayerNormed:
    rows, width = x.shape
    output = torch.empty(x.shape, dtype=x.dtype, device=x.device) if output is None else output
    mean, rstd = (torch.empty(rows, dtype=torch.float32, device=x.device) for _ in range(2))
    block = triton.next_power_of_2(width)
    with on_device_of(x):
        _forward[(rows,)](
            x, x.stride(0), weight, bias, output, output.stride(0), mean, rstd, width, eps,
            BIAS=bias is not None, BLOCK=block, num_warps=warps_for(block), enable_fp_fusion=False,
        )  # fmt: skip
    return LayerNormed(output, mean, rstd)


def backward_kernel(
    grad: Tensor, x: Tensor, saved: LayerNormed, weight: Tensor, *, trains: bool, grad_x: Tensor | None = None
) -> LayerNormGradients:
    rows, width = x.shape
    grad_x = torch.empty(x.shape, dtype=x.dtype, device=x.device) if grad_x is None else grad_x
    programs = min(rows, persistent_programs(x.device)) if trains else rows
    partial = torch.empty(2, programs, width, dtype=torch.float32, device=x.device) if trains else saved.rstd
    block = triton.next_power_of_2(width)
    with on_device_of(x):
        _backward[(programs,)](
            grad, grad.stride(0), x, x.stride(0), weight, saved.mean, saved.rstd, grad_x, grad_x.stride(0),
            partial, rows, width, programs,
            TRAINS=trains, BLOCK=block, num_warps=warps_for(block), enable_fp_fusion=False,
        )  # fmt: skip
    if not trains:
        return LayerNormGradients(grad_x, None, None)
    dw, db = partial.sum(1)
    return LayerNormGradients(grad_x, dw, db)


@triton.jit
def _forward(  # type: ignore[no-untyped-def]
    x, x_row, weight, bias, output, output_row, means, rstds, width, eps, BIAS: tl.constexpr, BLOCK: tl.constexpr
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, BLOCK)
    inside = column < width
    value = tl.load(x + row * x_row + column, inside, 0.0).to(tl.float32)
    mean = tl.sum(value, 0) / width
    centred = tl.where(inside, value - mean, 0.0)
    rstd = tl.rsqrt(tl.sum(centred * centred, 0) / width + eps)
    result = centred * rstd * tl.load(weight + column, inside, 0.0).to(tl.float32)
    if BIAS:
        result += tl.load(bias + column, inside, 0.0).to(tl.float32)
    tl.store(output + row * output_row + column, rounded(result, output.dtype.element_ty), inside)
    tl.store(means + row, mean)
    tl.store(rstds + row, rstd)


@triton.jit(do_not_specialize=["rows", "programs"])
def _backward(  # type: ignore[no-untyped-def]
    grad, grad_row, x, x_row, weight, means, rstds, grad_x, grad_x_row, partial, rows, width, programs,
    TRAINS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    column = tl.arange(0, BLOCK)
    inside = column < width
    scale = tl.load(weight + column, inside, 0.0).to(tl.float32)
    weight_gradient = tl.zeros((BLOCK,), tl.float32)
    bias_gradient = tl.zeros((BLOCK,), tl.float32)
    for index in range(tl.program_id(0), rows, programs):
        row = tl.cast(index, tl.int64)
        rstd = tl.load(rstds + row)
        value = tl.load(x + row * x_row + column, inside, 0.0).to(tl.float32)
        dy = tl.load(grad + row * grad_row + column, inside, 0.0).to(tl.float32)
        normed = tl.where(inside, (value - tl.load(means + row)) * rstd, 0.0)
        dn = dy * scale
        dx = rstd * (dn - tl.sum(dn, 0) / width - normed * (tl.sum(dn * normed, 0) / width))
        tl.store(grad_x + row * grad_x_row + column, rounded(dx, grad_x.dtype.element_ty), inside)
        if TRAINS:
            weight_gradient += dy * normed
            bias_gradient += dy
    if TRAINS:
        # One row of partial sums a program, added up afterwards in a fixed order: two runs give equal bits.
        place = partial + tl.program_id(0) * width + column
        tl.store(place, weight_gradient, inside)
        tl.store(place + programs * width, bias_gradient, inside)


class _LayerNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, eps: float) -> Tensor:
        result = forward(x, weight, bias, eps)
        ctx.save_for_backward(x, weight, bias, result.mean, result.rstd)
        return result.output

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        x, weight, bias, mean, rstd = ctx.saved_tensors
        result = backward(
            grads[0].contiguous(), x, LayerNormed(x, mean, rstd), weight,
            trains=ctx.needs_input_grad[1] or ctx.needs_input_grad[2],
        )  # fmt: skip
        dw = None if result.weight is None else result.weight.to(weight.dtype)
        db = None if result.bias is None or bias is None else result.bias.to(bias.dtype)
        return result.x, dw, db, None


def checks(device: torch.device) -> Iterator[Check]:
    """Output and gradients beside plain torch in the same dtype."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        yield from _check(dtype, device)


def _check(dtype: torch.dtype, device: torch.device) -> Iterator[Check]:
    generator = torch.Generator(device).manual_seed(1)
    x, grad = (torch.randn(4096, 4096, generator=generator, device=device).to(dtype) for _ in range(2))
    weight, bias = (torch.rand(4096, generator=generator, device=device).to(dtype) for _ in range(2))

    def by_autograd(dtype: torch.dtype) -> tuple[Tensor, ...]:
        inputs = [leaf(tensor, dtype) for tensor in (x, weight, bias)]
        output = functional.layer_norm(inputs[0], (4096,), inputs[1], inputs[2], 1e-5)
        return output.detach(), *torch.autograd.grad(output, inputs, grad.to(dtype))

    result = forward(x, weight, bias, 1e-5)
    gradients = backward(grad, x, result, weight, trains=True)
    got = (result.output, gradients.x, gradients.weight, gradients.bias)
    for part, ours, exact, usual in zip(
        ("", ", dx", ", dw", ", db"), got, by_autograd(torch.float64), by_autograd(dtype), strict=True
    ):
        assert ours is not None
        check = check_against("LayerNorm" + part, ours.to(dtype), exact, usual)
        yield check if part else timed(check, lambda: forward(x, weight, bias, 1e-5), 2 * x.nbytes)
