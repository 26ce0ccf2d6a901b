"""Whether our own decoder layers can stand in for a model's, as far as that is known before it is loaded."""

from typing import Literal

from tui_tuner.families import family_for
from tui_tuner.plan import AdapterPlan, LayerCounts, Sends

Recompute = Literal["off", "selective", "layers", "offload"]


def own_layers_obstacle(model_type: str, adapter: AdapterPlan, kernels: Literal["on", "off"]) -> str | None:
    """The first reason against it, in words; None where nothing stands in the way."""
    family = family_for(model_type)
    inside = f"{family.layers_path}."
    reasons = (
        (kernels == "off", 'acceleration.kernels is "off"'),
        (family.layer is None, f"family {family.name} has layers of another shape"),
        (adapter.method == "full", "all weights are trained"),
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


def plain_reason(adapter: AdapterPlan) -> str | None:
    """Why adapters are computed beside the joined products of our layers; None where they are part of them."""
    reasons = [word for word, applies in (("DoRA", adapter.use_dora), ("dropout", adapter.dropout > 0)) if applies]
    return " with ".join(reasons) or None


def layer_counts(recompute: Recompute, num_layers: int, sends: Sends = "all") -> LayerCounts:
    """All layers alike, but for the last: its backward pass follows at once, so that what it keeps costs least.

    Where others compute again it keeps everything, and where they wait on the host it only computes again.
    """
    others = num_layers - 1
    if recompute == "off":
        return LayerCounts(keep=num_layers, recompute=0, offload=0)
    if recompute == "offload":
        return LayerCounts(keep=0, recompute=1, offload=others, sends=sends)
    return LayerCounts(keep=1, recompute=others, offload=0)
