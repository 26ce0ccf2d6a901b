"""The way for projections that the fused product cannot serve: dropout before A, and DoRA. Written out all the same.

    plain    y = x W^T + scaling drop(x) A^T B^T + bias
    DoRA     y = x W^T + (g - 1) drop(x) W^T + g scaling drop(x) A^T B^T + bias,   g = magnitude / |W + scaling B A|

The norm is that of each output's row and counts as a constant in backward (Liu et al. 2024, section 4.3).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against
from tui_tuner.kernels.dropout import dropout
from tui_tuner.kernels.launch import wide


@dataclass(frozen=True, slots=True)
class Dropout:
    """What makes one mask."""

    probability: float
    seed: Tensor
    stream: int


@dataclass(frozen=True, slots=True)
class PlainLora:
    """One projection; all in the dtype that is computed in."""

    base: Tensor
    """[out, in]."""
    a: Tensor
    """[rank, in]."""
    b: Tensor
    """[out, rank], without scaling."""
    scaling: float
    bias: Tensor | None = None
    dropout: Dropout | None = None
    magnitude: Tensor | None = None
    """[out], float32 of DoRA."""


@dataclass(frozen=True, slots=True)
class PlainGradients:
    """Where gradients are added to, in float32."""

    a: Tensor
    b: Tensor
    magnitude: Tensor | None = None


def forward(x: Tensor, lora: PlainLora) -> Tensor:
    """[T, in] -> [T, out]; nothing needs to be saved for backward but x."""
    dropped = _dropped(x, lora)
    s = dropped @ lora.a.T
    if lora.magnitude is None:
        out = _base_product(x, lora)
        return out.addmm_(s, lora.b.T, alpha=lora.scaling)
    gain = (lora.magnitude / weight_norms(lora)).to(x.dtype)
    adapted = (dropped @ lora.base.T).addmm_(s, lora.b.T, alpha=lora.scaling)
    if lora.dropout is None:
        out = adapted * gain
        return out if lora.bias is None else out.add_(lora.bias)
    # x W^T - drop(x) W^T + g (drop(x) W^T + scaling ...): the product of the difference saves one of three.
    return _base_product(x - dropped, lora).addcmul_(adapted, gain)


def backward(dy: Tensor, x: Tensor, lora: PlainLora, gradients: PlainGradients) -> Tensor:
    """The gradient of x [T, in]; those of the adapter are added."""
    dropped = _dropped(x, lora)
    s = dropped @ lora.a.T
    scaled = dy
    if lora.magnitude is not None and gradients.magnitude is not None:
        norms = weight_norms(lora)
        adapted = (dropped @ lora.base.T).addmm_(s, lora.b.T, alpha=lora.scaling)
        gradients.magnitude.add_((wide(dy) * wide(adapted)).sum(0) / norms)
        scaled = (dy * (lora.magnitude / norms)).to(dy.dtype)
    ds = (scaled @ lora.b).mul_(lora.scaling)
    kind = gradients.a.dtype
    gradients.a.addmm_(ds.to(kind).T, dropped.to(kind))
    gradients.b.addmm_(scaled.to(kind).T, s.to(kind), alpha=lora.scaling)
    if lora.dropout is None:
        return (scaled @ lora.base).addmm_(ds, lora.a)
    through_mask = ds @ lora.a if lora.magnitude is None else ((scaled - dy) @ lora.base).addmm_(ds, lora.a)
    return _dropped(through_mask, lora).addmm_(dy, lora.base)


def weight_norms(lora: PlainLora) -> Tensor:
    """|W + scaling B A| of each row [out], float32, without building the sum: the square of a sum, term by term."""
    a, b = wide(lora.a), wide(lora.b)
    squares = torch.linalg.vector_norm(lora.base, dim=1, dtype=a.dtype).square()
    cross = (wide(lora.base @ lora.a.T) * b).sum(1)
    own = ((b @ (a @ a.T)) * b).sum(1)
    return (squares + 2 * lora.scaling * cross + lora.scaling**2 * own).sqrt()


def _dropped(x: Tensor, lora: PlainLora) -> Tensor:
    drop = lora.dropout
    return x if drop is None else dropout(x, drop.probability, drop.seed, drop.stream)


def _base_product(x: Tensor, lora: PlainLora) -> Tensor:
    return x @ lora.base.T if lora.bias is None else torch.addmm(lora.bias, x, lora.base.T)


def reference(x: Tensor, lora: PlainLora) -> Tensor:
    """By autograd; without dropout."""
    weight = lora.base + lora.scaling * lora.b @ lora.a
    if lora.magnitude is not None:
        weight = weight * (lora.magnitude / weight.detach().norm(dim=1)).unsqueeze(1)
    return torch.nn.functional.linear(x, weight, lora.bias)


def checks(device: torch.device) -> Iterator[Check]:
    """Output and gradient of x against float64, plain and DoRA."""
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for dora in (False, True):
            generator = torch.Generator(device).manual_seed(11)
            shapes = ((60, 256), (192, 256), (8, 256), (192, 8), (60, 192))
            x, base, a, b, dy = (torch.randn(s, generator=generator, device=device).to(dtype) for s in shapes)
            magnitude = torch.rand(192, generator=generator, device=device) + 1 if dora else None
            lora = PlainLora(base / 16, a / 16, b / 16, 2.0, magnitude=magnitude)
            gradients = PlainGradients(_zeros(a), _zeros(b), None if magnitude is None else _zeros(magnitude))
            ours = forward(x, lora), backward(dy, x, lora, gradients)
            exact = _by_autograd(x.double(), _as(lora, torch.float64), dy)
            usual = _by_autograd(x, _as(lora, dtype), dy)
            for name, got, wanted, plain in zip(("output", "dx"), ours, exact, usual, strict=True):
                yield check_against(f"{'DoRA' if dora else 'plain LoRA'}, {name}", got, wanted, plain)


def _zeros(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, dtype=torch.float32)


def _as(lora: PlainLora, dtype: torch.dtype) -> PlainLora:
    magnitude = None if lora.magnitude is None else lora.magnitude.to(dtype)
    return PlainLora(lora.base.to(dtype), lora.a.to(dtype), lora.b.to(dtype), lora.scaling, magnitude=magnitude)


def _by_autograd(x: Tensor, lora: PlainLora, dy: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    output = reference(x, lora)
    return output.detach(), torch.autograd.grad(output, x, dy.to(output.dtype))[0]
