"""Whether a model can be trained by our own decoder layers, and if not, why. Looks only; changes nothing."""

from collections.abc import Iterator
from typing import Any

import bitsandbytes as bnb
from torch import nn

from tui_tuner.engine.lora import scales_of
from tui_tuner.families import LayerParts, ModelFamily, family_for
from tui_tuner.kernels.gated_product import Activation
from tui_tuner.plan import RunPlan
from tui_tuner.planning.own_layers.counts import own_layers_obstacle

ACTIVATIONS: dict[str, Activation] = {"silu": "silu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh"}
"""What config.json calls them -> our names."""


def obstacle(plan: RunPlan, module: nn.Module) -> str | None:
    """The first reason against it, in words; None where nothing stands in the way.

    Args:
        module: the loaded model, before or after its adapters are put in place.
    """
    reason = own_layers_obstacle(plan.model.model_type, plan.adapter, plan.kernels)
    family = family_for(plan.model.model_type)
    if reason is not None or family.layer is None:
        return reason
    return next(_reasons(family, family.layer, module), None)


def _reasons(family: ModelFamily, parts: LayerParts, module: nn.Module) -> Iterator[str]:
    config = text_config(module)
    if getattr(config, parts.activation_field) not in ACTIVATIONS:
        yield f"activation {getattr(config, parts.activation_field)}"
    if any(getattr(config, name, 0.0) for name in ("attention_dropout", "resid_pdrop", "embd_pdrop")):
        yield "the model drops activations of its own"
    if parts.query_key_norms is None and getattr(config, "use_qk_norm", False):
        yield "queries and keys have norms with a weight for each head"
    yield from _weight_reasons(family, parts, module)


def text_config(module: Any) -> Any:
    """The config of the part that reads text."""
    return module.config.get_text_config()


def _weight_reasons(family: ModelFamily, parts: LayerParts, module: nn.Module) -> Iterator[str]:
    for layer in module.get_submodule(family.layers_path).children():
        for name in (*parts.query_key_value, parts.attention_output, *parts.gate_up, parts.down):
            linear = layer.get_submodule(name)
            weight = linear.weight
            if scales_of(linear) is not None:
                continue
            if isinstance(weight, bnb.nn.Params4bit):
                if weight.quant_state is None or weight.quant_state.quant_type != "nf4":
                    yield f"{name} is quantised otherwise than NF4"
            elif not isinstance(weight, nn.Parameter) or not weight.is_floating_point():
                yield f"{name} is held in {type(weight).__name__}"
            elif weight.itemsize < 2:
                yield f"{name} is held in 8 bits"
