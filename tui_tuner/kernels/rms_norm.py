"""RMSNorm in Llama's and Gemma's form and LayerNorm without a bias, alone or with the residual addition before it, and
their gradients in one pass.

Saved for backward are the normalised input and one float32 a row; the output never is. Inputs are [T, D] or, for the
norm of each head, [T, H, D], with any strides but 1 in the last dimension; outputs may be views of larger buffers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
import triton
import triton.language as tl
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against, leaf, timed
from tui_tuner.kernels.fp8_rows import Fp8Rows, eight_bits, inverse_of, quantize_rows_reference, scale_of
from tui_tuner.kernels.launch import on_device_of, persistent_programs, rounded, uses_kernel, warps_for, wide

Style = Literal["llama", "gemma", "layer"]
"""llama: weight * cast(x * rstd), the product rounded again. gemma: cast(x * rstd * (1 + weight)), rounded once.
layer: cast((x - mean) * rstd * weight), rounded once, rstd that of x - mean (Cohere)."""
ELEMENTS = 4096
"""Of a program's tile: several short rows (heads), or one long one."""


@dataclass(frozen=True, slots=True)
class Norm:
    """What a norm does, apart from its weight."""

    eps: float
    style: Style = "llama"


@dataclass(frozen=True, slots=True)
class Normed:
    """What forward leaves; backward wants `summed` and `rstd`."""

    output: Tensor
    rstd: Tensor
    """[rows] float32, rows = T or T * H."""
    summed: Tensor
    """x + residual, rounded to x's dtype; x itself where no residual was given."""


@dataclass(frozen=True, slots=True)
class Into:
    """Where forward writes; what is None it makes anew. Any rows may be spaced."""

    output: Tensor | None = None
    summed: Tensor | None = None
    """May be the storage of the residual."""
    rstd: Tensor | None = None
    eight: Fp8Rows | None = None
    """The output once more in 8 bits, of whole rows only; left out where it is None."""


NEW = Into()


@dataclass(frozen=True, slots=True)
class NormGradients:
    x: Tensor
    """Of x, and so of the residual as well."""
    weight: Tensor | None
    """float32 [D]; None unless asked for."""


def rms_norm(x: Tensor, weight: Tensor, norm: Norm) -> Tensor:
    """RMSNorm over the last dimension, with gradients."""
    output: Tensor = _RmsNorm.apply(x, None, weight, norm)[0]
    return output


def add_rms_norm(x: Tensor, residual: Tensor, weight: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
    """(norm(x + residual), x + residual), with gradients."""
    output, summed = _RmsNorm.apply(x, residual, weight, norm)
    return output, summed


def forward(x: Tensor, weight: Tensor, norm: Norm, residual: Tensor | None = None, into: Into = NEW) -> Normed:
    """Kernel or reference, by `uses_kernel`."""
    return (forward_kernel if uses_kernel(x) else forward_reference)(x, weight, norm, residual, into)


def backward(
    grad: Tensor, saved: Normed, weight: Tensor, norm: Norm, grad_summed: Tensor | None = None, *,
    trains_weight: bool = False, grad_x: Tensor | None = None, output: Tensor | None = None,
) -> NormGradients:  # fmt: skip
    """Gradients from those of the output and, where there was a residual, of the sum. `saved.output` is not read.

    grad_x: written to; may be the storage of `grad` or of `grad_summed`.
    output: where given, the norm's output is written there once more, for a caller that did not keep it.
    """
    run = backward_kernel if uses_kernel(saved.summed) else backward_reference
    return run(grad, saved, weight, norm, grad_summed, trains_weight=trains_weight, grad_x=grad_x, output=output)


def forward_reference(
    x: Tensor, weight: Tensor, norm: Norm, residual: Tensor | None = None, into: Into = NEW
) -> Normed:
    summed = x if residual is None else _put((wide(x) + wide(residual)).to(x.dtype), into.summed)
    centred = _centred(wide(summed), norm)
    rstd = torch.rsqrt(centred.square().mean(-1) + norm.eps)
    normed = _scaled_by_weight(centred * rstd.unsqueeze(-1), weight, norm).to(x.dtype)
    if into.eight is not None:
        quantize_rows_reference(normed, into=into.eight)
    return Normed(_put(normed, into.output), _put(rstd.reshape(-1), into.rstd), summed)


def _put(value: Tensor, place: Tensor | None) -> Tensor:
    return value if place is None else place.copy_(value)


def backward_reference(
    grad: Tensor, saved: Normed, weight: Tensor, norm: Norm, grad_summed: Tensor | None = None, *,
    trains_weight: bool = False, grad_x: Tensor | None = None, output: Tensor | None = None,
) -> NormGradients:  # fmt: skip
    summed = saved.summed
    rstd = saved.rstd.view(summed.shape[:-1]).unsqueeze(-1)
    normed = _centred(wide(summed), norm) * rstd
    scaled_grad = wide(grad) * (1.0 + wide(weight) if norm.style == "gemma" else wide(weight))
    # What is subtracted from all of a row takes the mean of the gradient with it.
    dx = rstd * _centred(scaled_grad - normed * (scaled_grad * normed).mean(-1, keepdim=True), norm)
    if grad_summed is not None:
        dx = dx + wide(grad_summed)
    dw = (wide(grad) * normed).flatten(0, -2).sum(0) if trains_weight else None
    if output is not None:
        output.copy_(_scaled_by_weight(normed.to(summed.dtype), weight, norm))
    return NormGradients(dx.to(summed.dtype) if grad_x is None else grad_x.copy_(dx), dw)


def _centred(x: Tensor, norm: Norm) -> Tensor:
    return x - x.mean(-1, keepdim=True) if norm.style == "layer" else x


def _scaled_by_weight(normed: Tensor, weight: Tensor, norm: Norm) -> Tensor:
    if norm.style == "gemma":
        return normed * (1.0 + wide(weight))
    return wide(weight) * normed


def forward_kernel(x: Tensor, weight: Tensor, norm: Norm, residual: Tensor | None = None, into: Into = NEW) -> Normed:
    rows = _Rows.of(x)
    output = torch.empty(x.shape, dtype=x.dtype, device=x.device) if into.output is None else into.output
    summed = x
    if residual is not None:
        summed = torch.empty(x.shape, dtype=x.dtype, device=x.device) if into.summed is None else into.summed
    rstd = torch.empty(rows.count, dtype=torch.float32, device=x.device) if into.rstd is None else into.rstd
    eight, scales = (None, None) if into.eight is None else (into.eight.values, into.eight.scales)
    with on_device_of(x):
        _forward[(triton.cdiv(rows.count, rows.per_program),)](
            x, *_strides(x), residual, *_strides(residual), weight, output, *_strides(output),
            summed, *_strides(summed), rstd, eight, scales, rows.count, rows.heads, rows.width, norm.eps,
            ADD=residual is not None, GEMMA=norm.style == "gemma", CENTRED=norm.style == "layer",
            EIGHT=into.eight is not None, ROWS=rows.per_program, BLOCK=rows.block, num_warps=rows.warps,
            enable_fp_fusion=False,
        )  # fmt: skip
    return Normed(output, rstd, summed)


def backward_kernel(
    grad: Tensor, saved: Normed, weight: Tensor, norm: Norm, grad_summed: Tensor | None = None, *,
    trains_weight: bool = False, grad_x: Tensor | None = None, output: Tensor | None = None,
) -> NormGradients:  # fmt: skip
    summed = saved.summed
    rows = _Rows.of(summed)
    grad_x = torch.empty(summed.shape, dtype=summed.dtype, device=summed.device) if grad_x is None else grad_x
    tiles = triton.cdiv(rows.count, rows.per_program)
    programs = min(tiles, persistent_programs(grad.device)) if trains_weight else tiles
    partial = (
        torch.empty(programs, rows.width, dtype=torch.float32, device=grad.device) if trains_weight else saved.rstd
    )
    with on_device_of(grad):
        _backward[(programs,)](
            grad, *_strides(grad), summed, *_strides(summed), weight, saved.rstd,
            grad_summed, *_strides(grad_summed), grad_x, *_strides(grad_x), output, *_strides(output),
            partial, rows.count, rows.heads, rows.width, programs,
            ADD=grad_summed is not None, GEMMA=norm.style == "gemma", CENTRED=norm.style == "layer",
            AGAIN=output is not None, TRAINS=trains_weight, ROWS=rows.per_program, BLOCK=rows.block,
            num_warps=rows.warps, enable_fp_fusion=False,
        )  # fmt: skip
    return NormGradients(grad_x, partial.sum(0) if trains_weight else None)


@dataclass(frozen=True, slots=True)
class _Rows:
    """How [T, D] or [T, H, D] is cut into programs."""

    count: int
    heads: int
    width: int
    block: int
    per_program: int
    warps: int

    @classmethod
    def of(cls, x: Tensor) -> "_Rows":
        heads = 1 if x.dim() == 2 else x.shape[1]
        block = triton.next_power_of_2(x.shape[-1])
        per_program = max(1, ELEMENTS // block) if block <= 512 else 1
        return cls(x.shape[0] * heads, heads, x.shape[-1], block, per_program, warps_for(block * per_program))


def _strides(x: Tensor | None) -> tuple[int, int]:
    """Of a token and of a head."""
    if x is None:
        return 0, 0
    return x.stride(0), 0 if x.dim() == 2 else x.stride(1)


@triton.jit(do_not_specialize=["count"])
def _forward(  # type: ignore[no-untyped-def]
    x, x_token, x_head, residual, residual_token, residual_head, weight, output, output_token, output_head,
    summed, summed_token, summed_head, rstds, eight, scales, count, heads, width, eps,
    ADD: tl.constexpr, GEMMA: tl.constexpr, CENTRED: tl.constexpr, EIGHT: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, BLOCK)[None, :]
    inside = (row < count) & (column < width)
    token, head = (row // heads).to(tl.int64), (row % heads).to(tl.int64)
    value = tl.load(x + token * x_token + head * x_head + column, inside, 0.0).to(tl.float32)
    if ADD:
        value += tl.load(residual + token * residual_token + head * residual_head + column, inside, 0.0).to(tl.float32)
        value_rounded = rounded(value, summed.dtype.element_ty)
        tl.store(summed + token * summed_token + head * summed_head + column, value_rounded, inside)
        value = value_rounded.to(tl.float32)
    if CENTRED:
        value = _without_mean(value, inside, width)
    rstd = tl.rsqrt(tl.sum(value * value, 1) / width + eps)[:, None]
    tl.store(rstds + row, rstd, row < count)
    scale = tl.load(weight + column, column < width, 0.0).to(tl.float32)
    result = _times_weight(value * rstd, scale, output.dtype.element_ty, GEMMA, CENTRED)
    tl.store(output + token * output_token + head * output_head + column, result, inside)
    if EIGHT:
        result = tl.where(inside, result.to(tl.float32), 0.0)
        scale = scale_of(tl.max(tl.abs(result), 1))[:, None]
        tl.store(scales + row, scale, row < count)
        place = eight + token * width + column
        tl.store(place, eight_bits(result * inverse_of(scale)).to(eight.dtype.element_ty), inside)


@triton.jit(do_not_specialize=["count", "programs"])
def _backward(  # type: ignore[no-untyped-def]
    grad, grad_token, grad_head, summed, summed_token, summed_head, weight, rstds,
    grad_summed, grad_summed_token, grad_summed_head, grad_x, grad_x_token, grad_x_head,
    output, output_token, output_head, partial, count, heads, width, programs,
    ADD: tl.constexpr, GEMMA: tl.constexpr, CENTRED: tl.constexpr, AGAIN: tl.constexpr, TRAINS: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    column = tl.arange(0, BLOCK)[None, :]
    weight_value = tl.load(weight + column, column < width, 0.0).to(tl.float32)
    scale = 1.0 + weight_value if GEMMA else weight_value
    weight_gradient = tl.zeros((ROWS, BLOCK), tl.float32)
    for first in range(tl.program_id(0) * ROWS, count, programs * ROWS):
        row = first + tl.arange(0, ROWS)[:, None]
        inside = (row < count) & (column < width)
        token, head = (row // heads).to(tl.int64), (row % heads).to(tl.int64)
        value = tl.load(summed + token * summed_token + head * summed_head + column, inside, 0.0).to(tl.float32)
        dy = tl.load(grad + token * grad_token + head * grad_head + column, inside, 0.0).to(tl.float32)
        rstd = tl.load(rstds + row, row < count, 0.0)
        if CENTRED:
            value = _without_mean(value, inside, width)
        normed = value * rstd
        dn = dy * scale
        dx = rstd * (dn - normed * (tl.sum(dn * normed, 1) / width)[:, None])
        if CENTRED:
            dx = _without_mean(dx, inside, width)
        if ADD:
            place = grad_summed + token * grad_summed_token + head * grad_summed_head + column
            dx += tl.load(place, inside, 0.0).to(tl.float32)
        if AGAIN:
            result = _times_weight(normed, weight_value, output.dtype.element_ty, GEMMA, CENTRED)
            tl.store(output + token * output_token + head * output_head + column, result, inside)
        if TRAINS:
            weight_gradient += dy * normed
        place = grad_x + token * grad_x_token + head * grad_x_head + column
        tl.store(place, rounded(dx, grad_x.dtype.element_ty), inside)
    if TRAINS:
        # One row of partial sums a program, added up afterwards in a fixed order: two runs give equal bits.
        place = partial + tl.program_id(0) * width + tl.arange(0, BLOCK)
        tl.store(place, tl.sum(weight_gradient, 0), tl.arange(0, BLOCK) < width)


@triton.jit
def _without_mean(value, inside, width):  # type: ignore[no-untyped-def]
    """Of each row; what lies outside stays 0."""
    return tl.where(inside, value - (tl.sum(value, 1) / width)[:, None], 0.0)


@triton.jit
def _times_weight(  # type: ignore[no-untyped-def]
    normed, weight, dtype: tl.constexpr, GEMMA: tl.constexpr, CENTRED: tl.constexpr
):
    # float32 times float32 of two rounded factors, rounded once, is what a product in the narrow type gives.
    if GEMMA:
        return rounded(normed * (1.0 + weight), dtype)
    elif CENTRED:  # noqa: RET505
        return rounded(normed * weight, dtype)
    else:
        return rounded(rounded(normed, dtype).to(tl.float32) * weight, dtype)


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, residual: Tensor | None, weight: Tensor, norm: Norm) -> tuple[Tensor, Tensor]:
        result = forward(x, weight, norm, residual)
        ctx.save_for_backward(result.summed, result.rstd, weight)
        ctx.norm, ctx.adds = norm, residual is not None
        if residual is None:
            ctx.mark_non_differentiable(result.rstd)
            return result.output, result.rstd
        return result.output, result.summed

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        summed, rstd, weight = ctx.saved_tensors
        result = backward(
            grads[0].contiguous(), Normed(summed, rstd, summed), weight, ctx.norm,
            grads[1].contiguous() if ctx.adds else None, trains_weight=ctx.needs_input_grad[2],
        )  # fmt: skip
        dw = None if result.weight is None else result.weight.to(weight.dtype)
        return result.x, result.x if ctx.adds else None, dw, None


def checks(device: torch.device) -> Iterator[Check]:
    """Output and gradients of both styles, of whole rows and of heads, beside plain torch in the same dtype."""
    for style in ("llama", "gemma", "layer"):
        for shape in ((4096, 4096), (37, 5, 128)):
            for dtype in (torch.float32, torch.float16, torch.bfloat16):
                yield from _check(Norm(1e-6, style), shape, dtype, device)


def _check(norm: Norm, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Iterator[Check]:
    generator = torch.Generator(device).manual_seed(1)
    x, delta, grad = (torch.randn(shape, generator=generator, device=device).to(dtype) for _ in range(3))
    weight = torch.rand(shape[-1], generator=generator, device=device).to(dtype)

    result = forward(x, weight, norm, delta)
    gradients = backward(grad, result, weight, norm, trains_weight=True)
    got = (result.output, gradients.x, gradients.weight)
    name = f"RMSNorm, {norm.style}, {'heads' if len(shape) == 3 else 'rows'}"
    exact, usual = (eager(x + delta, weight, grad, norm, kept) for kept in (torch.float64, dtype))
    for part, ours, in_double, theirs in zip(("", ", dx", ", dw"), got, exact, usual, strict=True):
        assert ours is not None
        check = check_against(name + part, ours.to(dtype), in_double, theirs)
        yield check if part else timed(check, lambda: forward(x, weight, norm, delta), 4 * x.nbytes)


def eager(x: Tensor, weight: Tensor, grad: Tensor, norm: Norm, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Output, dx and dw by autograd, as models' own code computes them in `dtype`."""
    inputs = leaf(x, dtype), leaf(weight, dtype)
    centred = _centred(wide(inputs[0]), norm)
    normed = centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + norm.eps)
    if norm.style == "llama":
        output = inputs[1] * normed.to(dtype)
    else:
        output = _scaled_by_weight(normed, inputs[1], norm).to(dtype)
    dx, dw = torch.autograd.grad(output, inputs, grad.to(dtype))
    return output.detach(), dx, dw
