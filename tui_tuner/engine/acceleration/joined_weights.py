"""Joins the weights of a model's linear modules into the buffers that our products read; the modules keep views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import bitsandbytes as bnb
import torch
from torch import Tensor

from tui_tuner.engine.acceleration.flattening import FlatSet, WorkingCopy
from tui_tuner.engine.acceleration.plain_modules import PlainModule, is_plain, plain_module
from tui_tuner.engine.lora import AnyLinear, LoraLinear, scales_of
from tui_tuner.kernels import fp8
from tui_tuner.kernels.fp8_rows import DTYPE, Fp8Rows
from tui_tuner.kernels.layer.parts import InFp8, Projections, Quantized
from tui_tuner.kernels.lora.layout import (
    Adapters,
    LoraLayout,
    LoraWeight,
    Projection,
    empty_adapters,
    empty_weight,
    gradient_places,
)
from tui_tuner.kernels.nf4 import dequantize_stacked, nf4_weight


@dataclass(frozen=True, slots=True)
class Linears:
    """Linear modules of one layer that read the same input, by path in the model."""

    modules: Mapping[str, AnyLinear]
    scratch: str
    """Which scratch they share with others where they are quantised."""
    compute_dtype: torch.dtype
    keeps_transposed: bool = False
    """Whether weights in fp8 are held in both orders."""
    is_dequantized: bool = False
    """Whether weights in NF4 are held in the compute type as well."""
    first_stream: int = 0
    """Number of the first module's masks; the others' follow."""


@dataclass(frozen=True, slots=True)
class Joined:
    """Their weights in one buffer; the gradients of their adapters have no place yet."""

    paths: tuple[str, ...]
    layout: LoraLayout
    base: LoraWeight | Quantized | InFp8
    copies: Mapping[str, WorkingCopy]
    """By name of the adapter's matrix."""
    plain: tuple[PlainModule, ...] = ()

    def placed(self, flat: FlatSet) -> Projections:
        """Ready for use."""
        plain = tuple(one.placed() for one in self.plain)
        if self.layout.rank == 0:
            return Projections(self.layout, self.base, plain=plain)
        starts = tuple(
            (flat.start(f"{path}.lora_A"), flat.start(f"{path}.lora_B")) if projection.rank else (0, 0)
            for path, projection in zip(self.paths, self.layout.projections, strict=True)
        )
        return Projections(self.layout, self.base, gradient_places(self.layout, flat.flat.gradients, starts), plain)


@torch.no_grad()
def join(linears: Linears) -> Joined:
    """From here on each dense module's weight is a view of a part of the buffer; what it was before is let go."""
    joined = _joined(linears)
    plain = tuple(
        plain_module(path, module, joined.layout.rows(index), linears.compute_dtype, linears.first_stream + index)
        for index, (path, module) in enumerate(linears.modules.items())
        if isinstance(module, LoraLinear) and is_plain(module)
    )
    copies = {name: copy for one in plain for name, copy in one.copies}
    return replace(joined, copies={**joined.copies, **copies}, plain=plain)


def _joined(linears: Linears) -> Joined:
    modules = list(linears.modules.values())
    layout = LoraLayout(modules[0].in_features, tuple(_projection(module) for module in modules))
    bias = _joined_bias(modules, layout)
    if isinstance(modules[0].weight, bnb.nn.Params4bit):
        return _quantized(linears, modules, layout, bias)
    if scales_of(modules[0]) is not None:
        return _in_fp8(linears, modules, layout, bias)
    weight = empty_weight(layout, linears.compute_dtype, modules[0].weight.device, bias)
    for index, module in enumerate(modules):
        view = weight.base[layout.rows(index)]
        module.weight.data = view.copy_(module.weight.data)
    return _in_one_buffer(linears, weight)


def _quantized(linears: Linears, modules: Sequence[AnyLinear], layout: LoraLayout, bias: Tensor | None) -> Joined:
    weights: list[Any] = [module.weight for module in modules]
    parts = tuple(nf4_weight(weight.data, weight.quant_state) for weight in weights)
    device = modules[0].weight.device
    if linears.is_dequantized:
        whole = empty_weight(layout, linears.compute_dtype, device, bias)
        dequantize_stacked(parts, whole.base)
        return _in_one_buffer(linears, whole)
    adapters = empty_adapters(layout, linears.compute_dtype, device)
    base = Quantized(parts, adapters, linears.scratch, bias)
    return Joined(tuple(linears.modules), layout, base, _copies_apart(linears.modules, layout, adapters))


def _in_one_buffer(linears: Linears, weight: LoraWeight) -> Joined:
    """The adapters' working copies lie beside the base."""
    places = [(weight.a_of(index), weight.b_of(index)) for index in range(len(linears.modules))]
    return Joined(tuple(linears.modules), weight.layout, weight, _copies(linears.modules, weight.layout, places))


def _in_fp8(linears: Linears, modules: Sequence[AnyLinear], layout: LoraLayout, bias: Tensor | None) -> Joined:
    device = modules[0].weight.device
    values = torch.empty(layout.out_features, layout.in_features, dtype=torch.uint8, device=device)
    for index, module in enumerate(modules):
        view = values[layout.rows(index)]
        module.weight.data = view.copy_(module.weight.data)
    scales = torch.cat([one for module in modules if (one := scales_of(module)) is not None])
    weight = fp8.fp8_weight(Fp8Rows(values.view(DTYPE), scales), keep_transposed=linears.keeps_transposed)
    adapters = empty_adapters(layout, linears.compute_dtype, device)
    copies = _copies_apart(linears.modules, layout, adapters)
    return Joined(tuple(linears.modules), layout, InFp8(weight, adapters, bias), copies)


def _copies_apart(
    modules: Mapping[str, AnyLinear], layout: LoraLayout, adapters: Adapters
) -> dict[str, WorkingCopy]:  # fmt: skip
    """Of adapters that do not lie in one buffer with the base."""
    places = [
        (adapters.a[layout.ranks(index)], adapters.b[layout.rows(index), layout.ranks(index)])
        for index in range(len(modules))
    ]
    return _copies(modules, layout, places)


def _projection(module: AnyLinear) -> Projection:
    if isinstance(module, LoraLinear) and not is_plain(module):
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
