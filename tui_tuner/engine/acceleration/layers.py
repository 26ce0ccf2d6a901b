"""Reads a model's decoder layers into the values that our own layer computes with, by the family's data."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tui_tuner.engine.acceleration.flattening import FlatSet, WorkingCopy
from tui_tuner.engine.acceleration.joined_weights import Joined, Linears, join
from tui_tuner.engine.acceleration.obstacles import ACTIVATIONS
from tui_tuner.engine.lora import AnyLinear
from tui_tuner.families import LayerParts
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.layer.parts import Layer, LayerShape, NormWeight
from tui_tuner.kernels.rms_norm import Norm, Style

MASKS_OF_A_LAYER = 8
"""At least as many as a layer has linear modules."""


@dataclass(frozen=True, slots=True)
class JoinedLayer:
    """One layer whose linear modules are joined; what is still missing is where its gradients go."""

    path: str
    module: nn.Module
    parts: LayerParts
    shape: LayerShape
    qkv: Joined
    o: Joined
    gate_up: Joined
    down: Joined

    @property
    def copies(self) -> Iterator[tuple[str, WorkingCopy]]:
        for joined in (self.qkv, self.o, self.gate_up, self.down):
            yield from joined.copies.items()

    def placed(self, flat: FlatSet) -> Layer:
        """Ready for use."""
        parts = self.parts
        q_norm, k_norm = parts.query_key_norms or (None, None)
        return Layer(
            shape=self.shape,
            input_norm=self._norm(parts.input_norm),
            qkv=self.qkv.placed(flat),
            q_norm=self._optional_norm(q_norm),
            k_norm=self._optional_norm(k_norm),
            o=self.o.placed(flat),
            attention_norm=self._optional_norm(parts.attention_norm),
            mlp_norm=self._optional_norm(parts.mlp_norm),
            gate_up=self.gate_up.placed(flat),
            down=self.down.placed(flat),
            output_norm=self._optional_norm(parts.output_norm),
        )

    def _optional_norm(self, name: str | None) -> NormWeight | None:
        return None if name is None else self._norm(name)

    def _norm(self, name: str) -> NormWeight:
        weight = self.module.get_submodule(name).get_parameter("weight")
        # The gradient of a trained one is a view of the flat buffer by now.
        return NormWeight(weight.detach(), weight.grad if weight.requires_grad else None)


def joined_layers(path: str, model: nn.Module, parts: LayerParts, reading: "Reading") -> list[JoinedLayer]:
    """Every layer, one after the other, so that no more than one projection is held twice."""
    return [
        _joined_layer(path, index, layer, parts, reading)
        for index, layer in enumerate(model.get_submodule(path).children())
    ]


def _joined_layer(
    layers_path: str, index: int, layer: nn.Module, parts: LayerParts, reading: "Reading"
) -> JoinedLayer:  # fmt: skip
    path = f"{layers_path}.{index}"

    def joined(names: tuple[str, ...], scratch: str, place: int) -> Joined:
        linears = Linears(
            {f"{path}.{name}": _linear(layer, name) for name in names},
            scratch,
            reading.compute_dtype,
            keeps_transposed=reading.keeps_transposed,
            is_dequantized=index < reading.dequantized_layers,
            first_stream=MASKS_OF_A_LAYER * index + place,
        )
        return join(linears)

    # Those that take turns in one scratch are never in use at the same time.
    return JoinedLayer(
        path, layer, parts, reading.shape_of(layer, parts),
        qkv=joined(parts.query_key_value, "first weight", 0),
        o=joined((parts.attention_output,), "second weight", 3),
        gate_up=joined(parts.gate_up, "first weight", 4),
        down=joined((parts.down,), "second weight", 6),
    )  # fmt: skip


def _linear(layer: nn.Module, name: str) -> AnyLinear:
    module = layer.get_submodule(name)
    assert isinstance(module, AnyLinear)
    return module


@dataclass(frozen=True, slots=True)
class Reading:
    """What of a model's config its layers share."""

    config: Any
    rope_kinds: tuple[str | None, ...]
    compute_dtype: torch.dtype
    keeps_transposed: bool = False
    """Whether weights in fp8 are held in both orders."""
    dequantized_layers: int = 0
    """The first so many hold their weights in NF4 in the compute type as well."""

    def shape_of(self, layer: nn.Module, parts: LayerParts) -> LayerShape:
        config = self.config
        attention: Any = layer.get_submodule(parts.attention)
        kind, window = getattr(attention, "layer_type", None), self._window(attention)
        rope = self.rope_kinds.index(kind) if kind in self.rope_kinds else 0
        return LayerShape(
            q_heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            head_dim=attention.head_dim,
            intermediate=config.intermediate_size,
            activation=ACTIVATIONS[getattr(config, parts.activation_field)],
            norm=norm_of(layer.get_submodule(parts.input_norm), parts),
            scores=Scores(attention.scaling, window, self._number(parts.score_softcap)),
            rope=None if parts.turns_only_windows and window is None else rope,
            residual_multiplier=self._number(parts.residual_multiplier) or 1.0,
        )

    def _window(self, attention: Any) -> int | None:
        """Layers that differ in it say so themselves; else the config speaks for all."""
        window = getattr(attention, "sliding_window", getattr(self.config, "sliding_window", None))
        return None if window is None else int(window)

    def _number(self, field_name: str | None) -> float | None:
        value = None if field_name is None else getattr(self.config, field_name)
        return None if value is None else float(value)


def norm_of(module: Any, parts: LayerParts) -> Norm:
    """Its form and epsilon, which classes keep under two names."""
    eps = getattr(module, "variance_epsilon", None)
    style: Style = "gemma" if parts.norm_adds_one else "layer" if parts.norm_centres else "llama"
    return Norm(float(module.eps if eps is None else eps), style)


def working_copies(layers: list[JoinedLayer]) -> Mapping[str, WorkingCopy]:
    return {name: copy for layer in layers for name, copy in layer.copies}
