"""Linear layers with LoRA on a base in 8-bit floats: the base's product in 8 bits, the adapter's added to it in 16.

    forward    t = x A^T          y  = q(x) W^T + t (sB)^T
    backward   dt = dy (sB)       dx = dy's scales (q(dy W's scales) W's bytes) + dt A

Adapters see inputs and gradients that were never in 8 bits. The hardware's product writes contiguous rows; where
those of the result are spaced, it is the sum with the adapter's part that puts them there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels import fp8
from tui_tuner.kernels.fp8 import Fp8Weight
from tui_tuner.kernels.fp8_rows import quantize_rows
from tui_tuner.kernels.lora.layout import Adapters, Extended, LoraLayout
from tui_tuner.kernels.lora.thin_product import add_thin_product


@dataclass(frozen=True, slots=True)
class Fp8LoraWeight:
    """Base weights of projections that share an input, one below the other, and working copies of their adapters."""

    layout: LoraLayout
    base: Fp8Weight
    adapters: Adapters
    bias: Tensor | None = None
    """[out]."""
    scratch: Tensor | None = None
    """[in, out] e4m3, where the base keeps no transpose."""

    @property
    def a(self) -> Tensor:
        """[R, in]."""
        return self.adapters.a

    @property
    def b(self) -> Tensor:
        """[out, R], times the scalings."""
        return self.adapters.b


def forward(x: Extended, weight: Fp8LoraWeight, out: Tensor, residual: Tensor | None = None) -> Tensor:
    """`x.ranks` is filled already. Fills `out` [T, out]; a residual, which may be `out`, is added."""
    place = _contiguous(out, residual is not None and residual.data_ptr() == out.data_ptr())
    product = fp8.forward(x.eight or quantize_rows(x.wide), weight.base, place, weight.bias)
    rank = weight.layout.rank
    return add_thin_product(product, x.ranks[:, :rank], weight.b[:, :rank].T, out, residual)


def input_gradient(dy: Extended, weight: Fp8LoraWeight, grad_x: Tensor, *, add: bool = False) -> None:
    """`dy.ranks` is filled already. Fills `grad_x` [T, in], or adds to it."""
    rows = dy.eight or quantize_rows(dy.wide, weight.base.column_factors)
    product = fp8.backward(rows, weight.base, _contiguous(grad_x, add), weight.scratch)
    rank = weight.layout.rank
    residual = grad_x if add else None
    add_thin_product(product, dy.ranks[:, :rank], weight.a[:rank], grad_x, residual, rows.scales)


def _contiguous(out: Tensor, add: bool) -> Tensor:
    """Where the base's product goes: to its place, unless that is spaced or holds what is added to."""
    return torch.empty(out.shape, dtype=out.dtype, device=out.device) if add or not out.is_contiguous() else out
