"""Joins the weights of a model's linear modules into the buffers that our products read; the modules keep views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor

from tui_tuner.engine.acceleration.flattening import FlatSet, WorkingCopy
from tui_tuner.engine.lora import AnyLinear, LoraLinear
from tui_tuner.kernels.layer.parts import Projections, Quantized
from tui_tuner.kernels.lora_layout import (
    LoraLayout,
    LoraWeight,
    Projection,
    empty_adapters,
    empty_weight,
    gradient_places,
)
from tui_tuner.kernels.nf4 import nf4_weight


@dataclass(frozen=True, slots=True)
class Linears:
    """Linear modules of one layer that read the same input, by path in the model."""

    modules: Mapping[str, AnyLinear]
    scratch: str
    """Which scratch they share with others where they are quantised."""
    compute_dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Joined:
    """Their weights in one buffer; the gradients of their adapters have no place yet."""

    paths: tuple[str, ...]
    layout: LoraLayout
    base: LoraWeight | Quantized
    copies: Mapping[str, WorkingCopy]
    """By name of the adapter's matrix."""

    def placed(self, flat: FlatSet) -> Projections:
        """Ready for use."""
        if not self.copies:
            return Projections(self.layout, self.base)
        starts = tuple(
            (flat.start(f"{path}.lora_A"), flat.start(f"{path}.lora_B")) if projection.rank else (0, 0)
            for path, projection in zip(self.paths, self.layout.projections, strict=True)
        )
        return Projections(self.layout, self.base, gradient_places(self.layout, flat.flat.gradients, starts))


@torch.no_grad()
def join(linears: Linears) -> Joined:
    """From here on each dense module's weight is a view of a part of the buffer; what it was before is let go."""
    modules = list(linears.modules.values())
    layout = LoraLayout(modules[0].in_features, tuple(_projection(module) for module in modules))
    bias = _joined_bias(modules, layout)
    if isinstance(modules[0].weight, bnb.nn.Params4bit):
        return _quantized(linears, modules, layout, bias)
    weight = empty_weight(layout, linears.compute_dtype, modules[0].weight.device, bias)
    for index, module in enumerate(modules):
        view = weight.base[layout.rows(index)]
        module.weight.data = view.copy_(module.weight.data)
    places = [(weight.a_of(index), weight.b_of(index)) for index in range(len(modules))]
    return Joined(tuple(linears.modules), layout, weight, _copies(linears.modules, layout, places))


def _quantized(linears: Linears, modules: Sequence[AnyLinear], layout: LoraLayout, bias: Tensor | None) -> Joined:
    weights: list[Any] = [module.weight for module in modules]
    parts = tuple(nf4_weight(weight.data, weight.quant_state) for weight in weights)
    adapters = empty_adapters(layout, linears.compute_dtype, modules[0].weight.device)
    places = [
        (adapters.a[layout.ranks(index)], adapters.b[layout.rows(index), layout.ranks(index)])
        for index in range(len(modules))
    ]
    base = Quantized(parts, adapters, linears.scratch, bias)
    return Joined(tuple(linears.modules), layout, base, _copies(linears.modules, layout, places))


def _projection(module: AnyLinear) -> Projection:
    if isinstance(module, LoraLinear):
        return Projection(module.out_features, module.lora_A.shape[0], module.scaling)
    return Projection(module.out_features, 0)


def _joined_bias(modules: Sequence[AnyLinear], layout: LoraLayout) -> Tensor | None:
    if all(module.bias is None for module in modules):
        return None
    first = next(module.bias for module in modules if module.bias is not None)
    joined = torch.zeros(layout.out_features, dtype=first.dtype, device=first.device)
    for index, module in enumerate(modules):
        if module.bias is not None:
            view = joined[layout.rows(index)]
            module.bias.data = view.copy_(module.bias.data)
    return joined


def _copies(
    modules: Mapping[str, AnyLinear], layout: LoraLayout, places: Sequence[tuple[Tensor, Tensor]]
) -> dict[str, WorkingCopy]:
    copies = {}
    for path, projection, (a, b) in zip(modules, layout.projections, places, strict=True):
        if projection.rank:
            copies[f"{path}.lora_A"] = WorkingCopy(a)
            copies[f"{path}.lora_B"] = WorkingCopy(b, projection.scaling)
    return copies
