"""The way for projections that the fused product cannot serve: dropout before A, and DoRA. Written out all the same.

    plain    y = x W^T + scaling drop(x) A^T B^T + bias
    DoRA     y = x W^T + (g - 1) drop(x) W^T + g scaling drop(x) A^T B^T + bias,   g = magnitude / |W + scaling B A|

The norm is that of each output's row and counts as a constant in backward (Liu et al. 2024, section 4.3). Layers
compute x W^T and dy W for all projections of an input at once, and add here what one of them has beside it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels.checking import Check, check_against
from tui_tuner.kernels.dropout import dropout
from tui_tuner.kernels.launch import wide
from tui_tuner.kernels.wide_product import add_product

DOT_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Dropout:
    """What makes one mask."""

    probability: float
    seed: Tensor
    stream: int


@dataclass(frozen=True, slots=True)
class PlainLora:
    """One projection; all in the dtype that is computed in."""

    base: Tensor | None
    """[out, in]; DoRA alone reads it."""
    a: Tensor
    """[rank, in]."""
    b: Tensor
    """[out, rank], without scaling."""
    scaling: float
    bias: Tensor | None = None
    dropout: Dropout | None = None
    magnitude: Tensor | None = None
    """[out], float32 of DoRA."""
    squares: Tensor | None = None
    """[out], float32: the squares of W's rows, where they are known."""


@dataclass(frozen=True, slots=True)
class PlainGradients:
    """Where gradients are added to, in float32."""

    a: Tensor
    b: Tensor
    magnitude: Tensor | None = None


def forward(x: Tensor, lora: PlainLora) -> Tensor:
    """[T, in] -> [T, out]; nothing needs to be saved for backward but x."""
    base = _base(lora)
    return add_adapter(x, x @ base.T if lora.bias is None else torch.addmm(lora.bias, x, base.T), lora)


def backward(dy: Tensor, x: Tensor, lora: PlainLora, gradients: PlainGradients) -> Tensor:
    """The gradient of x [T, in]; those of the adapter are added."""
    dy = scale_gradient(dy.clone(), lora)
    add_gradients(dy, x, lora, gradients)
    return add_input_gradient(dy, dy @ _base(lora), lora)


def add_adapter(x: Tensor, out: Tensor, lora: PlainLora) -> Tensor:
    """`out` [T, out], which holds x W^T and the bias, becomes the projection's output."""
    dropped = _dropped(x, lora)
    s = dropped @ lora.a.T
    if lora.magnitude is None:
        return out.addmm_(s, lora.b.T, alpha=lora.scaling)
    gain = (lora.magnitude / weight_norms(lora)).to(x.dtype)
    if lora.dropout is None:
        out = out if lora.bias is None else out.sub_(lora.bias)
        out.addmm_(s, lora.b.T, alpha=lora.scaling).mul_(gain)
        return out if lora.bias is None else out.add_(lora.bias)
    unscaled = dropped @ _base(lora).T
    out.sub_(unscaled)
    return out.addcmul_(unscaled.addmm_(s, lora.b.T, alpha=lora.scaling), gain)


def scale_gradient(dy: Tensor, lora: PlainLora) -> Tensor:
    """`dy` [T, out] in place, as the other three want it: that of x W^T, which DoRA without dropout scales."""
    if lora.magnitude is None or lora.dropout is not None:
        return dy
    return dy.mul_((lora.magnitude / weight_norms(lora)).to(dy.dtype))


def add_input_gradient(dy: Tensor, grad_x: Tensor, lora: PlainLora) -> Tensor:
    """The adapter's part, added to `grad_x` [T, in], which holds dy W."""
    scaled = _scaled(dy, lora)
    ds = (scaled @ lora.b).mul_(lora.scaling)
    if lora.dropout is None:
        return grad_x.addmm_(ds, lora.a)
    through = ds @ lora.a
    if lora.magnitude is not None:
        through.addmm_(scaled.sub_(dy), _base(lora))
    return grad_x.add_(_dropped(through, lora))


def add_gradients(dy: Tensor, x: Tensor, lora: PlainLora, gradients: PlainGradients) -> None:
    """Those of A, B and the magnitude."""
    dropped = _dropped(x, lora)
    s, scaled = dropped @ lora.a.T, _scaled(dy, lora)
    if lora.magnitude is not None and gradients.magnitude is not None:
        adapted = (dropped @ _base(lora).T).addmm_(s, lora.b.T, alpha=lora.scaling)
        # dy is scaled by magnitude / norm already; elsewhere the norm alone is missing.
        divisor = lora.magnitude if lora.dropout is None else weight_norms(lora)
        gradients.magnitude.add_(_column_dots(dy, adapted) / divisor)
    ds = (scaled @ lora.b).mul_(lora.scaling)
    add_product(gradients.a, ds.T, dropped)
    add_product(gradients.b, scaled.T, s, lora.scaling)


def weight_norms(lora: PlainLora) -> Tensor:
    """|W + scaling B A| of each row [out], float32, without building the sum: the square of a sum, term by term."""
    a, b, base = wide(lora.a), wide(lora.b), _base(lora)
    squares = row_squares(base) if lora.squares is None else lora.squares
    cross = (wide(base @ lora.a.T) * b).sum(1)
    own = ((b @ (a @ a.T)) * b).sum(1)
    return (squares + 2 * lora.scaling * cross + lora.scaling**2 * own).sqrt()


def row_squares(base: Tensor) -> Tensor:
    """[out], float32."""
    return torch.linalg.vector_norm(base, dim=1, dtype=wide(base[:0]).dtype).square()


def _base(lora: PlainLora) -> Tensor:
    assert lora.base is not None
    return lora.base


def _scaled(dy: Tensor, lora: PlainLora) -> Tensor:
    """The gradient of W x + scaling B A x."""
    if lora.magnitude is None or lora.dropout is None:
        return dy
    return (dy * (lora.magnitude / weight_norms(lora))).to(dy.dtype)


def _column_dots(left: Tensor, right: Tensor) -> Tensor:
    """The dot product of each pair of columns, float32, some rows at a time."""
    parts = zip(left.split(DOT_ROWS), right.split(DOT_ROWS), strict=True)
    return torch.stack([(wide(one) * wide(other)).sum(0) for one, other in parts]).sum(0)


def _dropped(x: Tensor, lora: PlainLora) -> Tensor:
    drop = lora.dropout
    return x if drop is None else dropout(x, drop.probability, drop.seed, drop.stream)


def reference(x: Tensor, lora: PlainLora) -> Tensor:
    """By autograd; without dropout."""
    weight = _base(lora) + lora.scaling * lora.b @ lora.a
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
    return PlainLora(_base(lora).to(dtype), lora.a.to(dtype), lora.b.to(dtype), lora.scaling, magnitude=magnitude)


def _by_autograd(x: Tensor, lora: PlainLora, dy: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    output = reference(x, lora)
    return output.detach(), torch.autograd.grad(output, x, dy.to(output.dtype))[0]
