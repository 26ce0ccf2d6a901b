"""Whether our own decoder layers can stand in for a model's, as far as that is known before it is loaded."""

from typing import Literal

from tui_tuner.families import family_for
from tui_tuner.plan import AdapterPlan, LayerCounts

Recompute = Literal["off", "selective", "layers", "offload"]


def own_layers_obstacle(model_type: str, adapter: AdapterPlan, kernels: Literal["on", "off"]) -> str | None:
    """The first reason against it, in words; None where nothing stands in the way."""
    family = family_for(model_type)
    inside = f"{family.layers_path}."
    reasons = (
        (kernels == "off", 'acceleration.kernels is "off"'),
        (family.layer is None, f"family {family.name} has layers of another shape"),
        (adapter.method == "full", "all weights are trained"),
        (adapter.use_dora, "DoRA"),
        (adapter.dropout > 0, "dropout in the adapters"),
        (
            any(one.group == "other" and one.path.startswith(inside) for one in adapter.saved_modules),
            "linear modules of the layers are trained in full",
        ),
        (
            any(not target.path.startswith(inside) for target in adapter.targets),
            "an adapter sits outside the decoder layers",
        ),
        (not adapter.targets, "no decoder layer has an adapter"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def layer_counts(recompute: Recompute, num_layers: int, kept: int = 1) -> LayerCounts:
    """kept: layers that keep everything. The last one always may: its backward pass follows at once."""
    if recompute == "off":
        return LayerCounts(keep=num_layers, recompute=0, offload=0)
    rest = num_layers - kept
    if recompute == "offload":
        return LayerCounts(keep=kept, recompute=0, offload=rest)
    return LayerCounts(keep=kept, recompute=rest, offload=0)
