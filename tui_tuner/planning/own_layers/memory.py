"""Memory of our own decoder layers: what each keeps until backward, and what passes through the buffers they share.

Counted in elements of a token, with d hidden, q heads x head_dim, k key-value heads x head_dim, f the MLP's width and
64 places for ranks beside each joined tensor. Sizes follow `kernels.layer`; a GPU test holds them against the device.
"""

from tui_tuner.families import family_for
from tui_tuner.plan import AdapterPlan, LayerCounts, ModelFacts

RANK_PLACES = 64
"""Ranks of the projections of one input are rounded up to this."""
JOINED = 4
"""Products of a layer: q with k and v, o, gate with up, down."""


def kept_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int) -> int:
    """What all layers together keep of one micro-batch on the device."""
    hidden, queries, keys, wide = _widths(model)
    branches = 2 * hidden if _has_branch_norms(model) else 0
    # Of each softmax, and of each row that a norm reads: one float32.
    statistics = 4 * model.num_heads + (16 if branches else 8)
    recompute = element * (2 * hidden + queries + branches) + statistics
    keep = recompute + element * (queries + 2 * keys + 2 * wide + 2 * RANK_PLACES)
    return tokens * (layers.keep * keep + layers.recompute * recompute + layers.offload * statistics)


def passing_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int, *, is_quantised: bool) -> int:
    """The buffers that all layers share, and the tensors that one layer's backward pass makes for itself.

    Shared: six tensors of width d with places for ranks, q, k, v and their gradients, attention's gradient, gate and
    up, their product. Made anew: the gradients of q, k and v. Offloaded layers have the inputs of two on the way.
    """
    hidden, queries, keys, wide = _widths(model)
    shared = 6 * (hidden + RANK_PLACES) + 2 * queries + 2 * keys + 3 * wide + 3 * RANK_PLACES
    shared += 3 * hidden if _has_branch_norms(model) else 0
    made = queries + 2 * keys + hidden
    arriving = 2 * (hidden + queries) if layers.offload else 0
    scratch = max(queries + 2 * keys, 2 * wide) * hidden + max(queries, wide) * hidden if is_quantised else 0
    return element * (tokens * (shared + made + arriving) + scratch)


def joined_bytes(model: ModelFacts, adapter: AdapterPlan, element: int) -> int:
    """Working copies of the adapters beside the weights, in the compute type, with their padding."""
    if not adapter.targets:
        return 0
    hidden, queries, keys, wide = _widths(model)
    inputs = hidden + queries + hidden + wide
    outputs = queries + 2 * keys + hidden + 2 * wide + hidden
    return model.num_layers * element * RANK_PLACES * (inputs + outputs + JOINED * RANK_PLACES)


def _widths(model: ModelFacts) -> tuple[int, int, int, int]:
    return (
        model.hidden_size,
        model.num_heads * model.head_dim,
        model.num_kv_heads * model.head_dim,
        (model.intermediate_size),
    )


def _has_branch_norms(model: ModelFacts) -> bool:
    parts = family_for(model.model_type).layer
    return parts is not None and parts.output_norm is not None
