"""Linear layers with LoRA, forward and backward written out for layers that bring their own buffers.

The input lies in a buffer with R spare columns, [T, in + R], and so does the gradient of the output, [T, out + R]. The
spare columns take x A^T and dy (sB), and with the weight's buffer (layout.py) each direction is one large product.
Where a tensor has no spare columns beside it, the adapter's part is added in a product of its own.

    forward    t = x A^T          y  = [x | t] [W | sB]^T
    backward   dt = dy (sB)       dx = [dy | dt] [W ; A]       dA += dt^T x       dB += s dy^T t

A base in 8-bit floats has products of its own (fp8.py).
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against
from tui_tuner.kernels.lora import fp8 as lora_fp8
from tui_tuner.kernels.lora.fp8 import Fp8LoraWeight
from tui_tuner.kernels.lora.gradients import add_adapter_gradients
from tui_tuner.kernels.lora.layout import (
    Extended,
    GradientPlaces,
    LoraLayout,
    LoraWeight,
    Projection,
    empty_weight,
    gradient_places,
)

AnyWeight = LoraWeight | Fp8LoraWeight


def forward(x: Extended, weight: AnyWeight, out: Tensor, *, residual: Tensor | None = None) -> Tensor:
    """Fills `x.ranks` and `out` [T, out]. residual: added; may be `out`."""
    fill_ranks(x, weight)
    return multiply(x, weight, out, residual)


def fill_ranks(x: Extended, weight: AnyWeight) -> None:
    """x A^T into `x.ranks`: the first step of forward."""
    if weight.layout.padded_rank > 0:
        torch.mm(x.wide, weight.a.T, out=x.ranks)


def take_ranks(x: Extended, weight: AnyWeight, ranks: Tensor) -> None:
    """The first step of forward where x A^T [T, sum of the ranks] is known already."""
    if weight.layout.padded_rank > 0:
        x.ranks[:, : weight.layout.rank].copy_(ranks)
        # What lay there may be no number, and no number times 0 is none.
        x.ranks[:, weight.layout.rank :].zero_()


def multiply(x: Extended, weight: AnyWeight, out: Tensor, residual: Tensor | None = None) -> Tensor:
    """The last step of forward: `out` from `x` with its ranks."""
    if isinstance(weight, Fp8LoraWeight):
        return lora_fp8.forward(x, weight, out, residual)
    add = residual is not None
    if residual is not None and residual.data_ptr() != out.data_ptr():
        out.copy_(residual)
    if x.joined is not None:
        return _product(x.joined, weight.base_and_b.T, out, weight.bias, add)
    _product(x.wide, weight.base.T, out, weight.bias, add)
    return out.addmm_(x.ranks, weight.b.T) if weight.layout.padded_rank > 0 else out


def backward(
    dy: Extended, x: Extended, weight: AnyWeight, places: GradientPlaces, grad_x: Tensor | None, *, add: bool = False
) -> None:
    """Fills `dy.ranks` and `grad_x` [T, in] (or adds to it), and adds the adapters' gradients.

    `x` as forward left it, or made again with its ranks. `grad_x` may be None where nothing below is trained, and may
    be the storage of `x` if `add` is not set.
    """
    fill_gradient_ranks(dy, weight)
    if weight.layout.padded_rank > 0:
        add_adapter_gradients(dy, x, places)
    if grad_x is not None:
        input_gradient(dy, weight, grad_x, add=add)


def fill_gradient_ranks(dy: Extended, weight: AnyWeight) -> None:
    """dy (sB) into `dy.ranks`: the first step of backward, for callers that have x only after `input_gradient`."""
    if weight.layout.padded_rank > 0:
        torch.mm(dy.wide, weight.b, out=dy.ranks)


def input_gradient(dy: Extended, weight: AnyWeight, grad_x: Tensor, *, add: bool = False) -> None:
    """The last step of backward: `grad_x` [T, in] from `dy` with its ranks."""
    if isinstance(weight, Fp8LoraWeight):
        lora_fp8.input_gradient(dy, weight, grad_x, add=add)
        return
    if dy.joined is not None:
        _product(dy.joined, weight.base_and_a, grad_x, None, add)
        return
    _product(dy.wide, weight.base, grad_x, None, add)
    if weight.layout.padded_rank > 0:
        grad_x.addmm_(dy.ranks, weight.a)


def _product(left: Tensor, right: Tensor, out: Tensor, bias: Tensor | None, add: bool) -> Tensor:
    if bias is not None and add:
        return out.addmm_(left, right).add_(bias)
    if add:
        return out.addmm_(left, right)
    if bias is not None:
        return torch.addmm(bias, left, right, out=out)
    return torch.mm(left, right, out=out)


def lora_linear(x: Tensor, values: Tensor, weight: LoraWeight, places: GradientPlaces) -> Tensor:
    """[..., in] -> [..., out], differentiable in x; gradients of the adapters are added to `places.flat` in backward.

    values: the flat parameter, which is read by nobody here and gets no gradient of its own: it must require one, so
    that autograd comes by even where `x` needs none.
    """
    output: Tensor = _LoraLinear.apply(x.flatten(0, -2), values, weight, places)
    return output.view(*x.shape[:-1], weight.layout.out_features)


class _LoraLinear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, values: Tensor, weight: LoraWeight, places: GradientPlaces) -> Tensor:  # noqa: ARG004
        layout = weight.layout
        x_aug = x.new_empty(len(x), layout.in_features + layout.padded_rank)
        x_aug[:, : layout.in_features] = x
        ctx.weight, ctx.places = weight, places
        out = forward(Extended.of(x_aug, layout.in_features), weight, x.new_empty(len(x), layout.out_features))
        ctx.save_for_backward(x_aug)
        return out

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        (x_aug,) = ctx.saved_tensors
        layout: LoraLayout = ctx.weight.layout
        dy_aug = x_aug.new_empty(len(x_aug), layout.out_features + layout.padded_rank)
        dy_aug[:, : layout.out_features] = grad_outputs[0]
        grad_x = x_aug.new_empty(len(x_aug), layout.in_features) if ctx.needs_input_grad[0] else None
        dy, x = Extended.of(dy_aug, layout.out_features), Extended.of(x_aug, layout.in_features)
        backward(dy, x, ctx.weight, ctx.places, grad_x)
        return grad_x, None, None, None


def lora_linear_reference(
    x: Tensor, base: Tensor, adapters: tuple[tuple[Tensor, Tensor], ...], layout: LoraLayout
) -> Tensor:
    """What PEFT computes: each projection for itself, W x + scaling B (A x); `base` [out, in] stacked."""
    parts = []
    for index, ((a, b), projection) in enumerate(zip(adapters, layout.projections, strict=True)):
        part = x @ base[layout.rows(index)].T
        parts.append(part + projection.scaling * ((x @ a.T) @ b.T))
    return torch.cat(parts, dim=-1)


def checks(device: torch.device) -> Iterator[Check]:
    """Output and all gradients against float64, beside PEFT's order of operations in the same dtype."""
    layout = LoraLayout(256, (Projection(192, 8, 2.0), Projection(64, 4, 0.5)))
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        generator = torch.Generator(device).manual_seed(9)
        shapes = [(layout.out_features, 256), (8, 256), (192, 8), (4, 256), (64, 4)]
        base, *adapters = ((torch.randn(s, generator=generator, device=device) / 16).to(dtype) for s in shapes)
        x = torch.randn(300, 256, generator=generator, device=device).to(dtype)
        grad = torch.randn(300, layout.out_features, generator=generator, device=device).to(dtype)
        exact = reference_results(x.double(), base.double(), [a.double() for a in adapters], layout, grad)
        usual = reference_results(x, base, adapters, layout, grad)
        ours = fused_results(x, base, adapters, layout, grad)
        for name, got, wanted, plain in zip(("output", "dx", "dA, dB"), ours, exact, usual, strict=True):
            yield check_against(f"lora linear, {name}", got.to(plain.dtype), wanted, plain)


def reference_results(
    x: Tensor, base: Tensor, adapters: list[Tensor], layout: LoraLayout, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Output, gradient of x, and all gradients of adapters (A and B of each projection) flattened into one."""
    x, adapters = x.detach().requires_grad_(), [a.detach().requires_grad_() for a in adapters]
    pairs = tuple(zip(adapters[::2], adapters[1::2], strict=True))
    output = lora_linear_reference(x, base, pairs, layout)
    grad_x, *others = torch.autograd.grad(output, (x, *adapters), grad.to(output.dtype))
    return output.detach(), grad_x, torch.cat([g.flatten() for g in others])


def fused_results(
    x: Tensor, base: Tensor, adapters: list[Tensor], layout: LoraLayout, grad: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same by the kernels."""
    weight = empty_weight(layout, x.dtype, x.device)
    weight.base.copy_(base)
    starts, end = [], 0
    for index, projection in enumerate(layout.projections):
        a, b = adapters[2 * index : 2 * index + 2]
        weight.a_of(index).copy_(a)
        weight.b_of(index).copy_(b * projection.scaling)
        starts.append((end, end + a.numel()))
        end += a.numel() + b.numel()
    sum_dtype = torch.promote_types(x.dtype, torch.float32)
    places = gradient_places(layout, torch.zeros(end, dtype=sum_dtype, device=x.device), tuple(starts))
    x = x.detach().requires_grad_()
    output = lora_linear(x, torch.zeros(1, device=x.device, requires_grad=True), weight, places)
    (grad_x,) = torch.autograd.grad(output, x, grad)
    return output.detach(), grad_x, places.flat
