"""Memory of our own decoder layers: what each keeps until backward, and what passes through the buffers they share.

Counted in elements of a token, with d hidden, q heads x head_dim, k key-value heads x head_dim, f the MLP's width and
64 places for ranks beside each joined tensor. Sizes follow `kernels.layer` and `engine.acceleration.micro_step`; tests
hold them against the tensors that are really made, and against peaks measured on a GPU.
"""

from tui_tuner.families import family_for
from tui_tuner.plan import AdapterPlan, LayerCounts, ModelFacts, Sends

RANK_PLACES = 64
"""Ranks of the projections of one input are rounded up to this."""
JOINED = 4
"""Products of a layer: q with k and v, o, gate with up, down."""
PASS_TOKENS = 8192
"""Most tokens that go at once through what does not mix tokens."""
PASS_MULTIPLE = 128
LEAVING = 1
"""Layers whose inputs may be on their way to the host while the next one is computed."""


GRAPHED_HIDDEN = 2048
"""Hidden size up to which a step may be over before the host has launched it: it becomes a CUDA graph, whose buffers
keep their addresses. Above, attention's backward pass is lent the widest one."""
LOGIT_ROWS = 128
"""Least rows of a chunk of logits."""
LEAN_TOKENS = 16_384
"""Of a micro-batch, above which layers that offload do not send the residual: 12 GiB at 8B up to there."""
SENDS: tuple[Sends, ...] = ("all", "attended", "input")
"""From the fastest to the one that asks the host for least."""


def kept_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int, ranks: int) -> int:
    """What all layers together keep of one micro-batch on the device.

    ranks: of the adapters of one layer, added up.
    """
    hidden, queries, keys, wide = _widths(model)
    branches = 2 * hidden if _has_branch_norms(model) else 0
    # Of each softmax, and of each row that a norm reads: one float32.
    statistics = 4 * model.num_heads + (16 if branches else 8)
    recompute = element * (2 * hidden + queries + branches + ranks) + statistics
    keep = recompute + element * (queries + 2 * keys + 2 * wide + 2 * RANK_PLACES)
    offload = statistics - (4 * model.num_heads if layers.sends == "input" else 0)
    return tokens * (layers.keep * keep + layers.recompute * recompute + layers.offload * offload)


def host_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int, ranks: int) -> int:
    """What waits in the host's memory."""
    return layers.offload * tokens * element * _sent(model, layers, ranks)


def shared_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int, *, is_quantised: bool) -> int:
    """The buffers that all layers share; they stay from one micro-batch to the next.

    Of all tokens the gradient of the residual, that of attention, and q, k, v where some layer computes them again; q
    and k once more where heads have norms. Of the tokens of a pass the normed input, one of the hidden size, the gated
    product, ranks, and gate and up where they are computed again; and two of a branch that has a norm. Quantised
    weights pass through two. Partial sums of adapters' gradients are left out: they are gone before attention's
    backward pass takes several times as much.
    """
    hidden, queries, keys, wide = _widths(model)
    is_again, has_branches = bool(layers.recompute or layers.offload), _has_branch_norms(model)
    lasting = hidden + RANK_PLACES + queries + ((queries + 2 * keys + RANK_PLACES) if is_again else 0)
    lasting += queries + keys if _has_head_norms(model) else 0
    passing = 2 * hidden + RANK_PLACES + (wide + RANK_PLACES) + RANK_PLACES
    passing += 2 * wide + RANK_PLACES if is_again else 0
    passing += 2 * hidden + RANK_PLACES if has_branches else 0
    return element * (tokens * lasting + _pass(tokens) * passing + (_scratch(model) if is_quantised else 0))


def forward_bytes(
    model: ModelFacts, layers: LayerCounts, tokens: int, element: int, ranks: int, *, on_gpu: bool
) -> int:
    """What is alive beside kept and shared tensors while the last layer runs forward: its output, what the one before
    it sends to the host, and what it will send itself. The gradients' buffers are not there yet, unless they must stay.
    """
    hidden, queries, _, _ = _widths(model)
    leaving = min(LEAVING, layers.offload) * _sent(model, layers, ranks)
    own = 0 if layers.keep or layers.recompute else 2 * hidden + queries
    absent = hidden + RANK_PLACES + queries if lends_buffers(model, on_gpu=on_gpu) else 0
    return tokens * element * (leaving + own + hidden - absent)


def backward_bytes(
    model: ModelFacts, layers: LayerCounts, tokens: int, element: int, ranks: int, *, on_gpu: bool
) -> int:
    """What is alive beside kept and shared tensors while the first layer runs backward: the last one of the model.

    The gradients of q, k and v with what attention makes them in (float32 sums for q, gradients of keys and values for
    each head), and inputs that arrive from the host: of the next layer, or of two at a time. Gradients are made in the
    widest shared buffer, where that is lent and large enough.
    """
    _, queries, keys, _ = _widths(model)
    attention = element * (queries + 2 * keys) + 4 * queries + (2 * element * queries if keys < queries else 0)
    arriving = (1 if layers.keep or layers.recompute else 2) * _sent(model, layers, ranks) if layers.offload else 0
    if layers.sends == "input":
        # Its output again, and the statistics of its softmax.
        attention += element * queries + 4 * model.num_heads
    lent = idle_bytes(model, layers, tokens, element) if lends_buffers(model, on_gpu=on_gpu) else 0
    return tokens * element * arriving + max(0, tokens * attention - lent)


def head_bytes(model: ModelFacts, tokens: int, element: int) -> int:
    """What is alive beside kept and shared tensors while the loss is computed, apart from logits: the decoder's output
    and its norm.
    """
    return tokens * element * 2 * model.hidden_size


def hold_logits(model: ModelFacts, layers: LayerCounts, tokens: int, element: int, chunk: int) -> bool:
    """Whether the widest shared buffer has room for the logits of a chunk of so many bytes, or where layers wait on the
    host for the least of one.
    """
    least = element * LOGIT_ROWS * model.vocab_size if layers.offload else chunk
    return idle_bytes(model, layers, tokens, element) >= least


def idle_bytes(model: ModelFacts, layers: LayerCounts, tokens: int, element: int) -> int:
    """Of the widest shared buffer, which is idle while loss and attention are computed."""
    if not (layers.recompute or layers.offload):
        return 0
    return element * _pass(tokens) * (2 * model.intermediate_size + RANK_PLACES)


def lends_buffers(model: ModelFacts, *, on_gpu: bool) -> bool:
    """Whether shared buffers may move, so that what is idle is used for something else: where no step is recorded."""
    return on_gpu and model.hidden_size > GRAPHED_HIDDEN


def fp8_bytes(model: ModelFacts, tokens: int, *, keeps_transposed: bool) -> int:
    """What products in 8 bits add to the shared buffers: their inputs and gradients in 8 bits with a scale for each
    row, and a turned weight where the base keeps none.
    """
    hidden, queries, keys, wide = _widths(model)
    turned = 0 if keeps_transposed else max(queries + 2 * keys, 2 * wide) * hidden
    return _pass(tokens) * (hidden + 3 * wide + queries + 2 * keys + 4 * 4) + turned


def plain_bytes(model: ModelFacts, adapter: AdapterPlan, tokens: int, element: int) -> int:
    """What adapters with dropout or DoRA make for one projection at a time: its input with holes, and for DoRA its
    output without adapter and magnitude, that times the magnitude's share, and a float32 copy of a part of it.
    """
    widest = max(model.intermediate_size, model.num_heads * model.head_dim, model.hidden_size)
    tensors = (1 if adapter.dropout > 0 else 0) + (3 if adapter.use_dora else 0)
    return element * _pass(tokens) * widest * tensors


def joined_bytes(model: ModelFacts, adapter: AdapterPlan, element: int, *, is_quantised: bool = False) -> int:
    """Working copies of the adapters beside the weights, in the compute type, with their padding."""
    if not adapter.targets:
        return 0
    hidden, queries, keys, wide = _widths(model)
    inputs = hidden + queries + hidden + wide
    outputs = queries + 2 * keys + hidden + 2 * wide + hidden
    corners = 0 if is_quantised else JOINED * RANK_PLACES
    return model.num_layers * element * RANK_PLACES * (inputs + outputs + corners)


def dequantized_bytes(model: ModelFacts, element: int) -> int:
    """Linear weights of one layer in the compute type, without the adapters beside them."""
    return element * (model.num_linear_parameters // model.num_layers + JOINED * RANK_PLACES**2)


def _sent(model: ModelFacts, layers: LayerCounts, ranks: int) -> int:
    """Elements of a token that a layer sends to the host."""
    hidden, queries, _, _ = _widths(model)
    branches = 2 * hidden if _has_branch_norms(model) else 0
    attended = 0 if layers.sends == "input" else queries
    return hidden + branches + ranks + attended + (hidden if layers.sends == "all" else 0)


def _scratch(model: ModelFacts) -> int:
    """Elements of the two buffers that quantised weights take turns in, adapters included."""
    hidden, queries, keys, wide = _widths(model)
    first = (max(queries + 2 * keys, 2 * wide) + RANK_PLACES) * (hidden + RANK_PLACES)
    return first + (hidden + RANK_PLACES) * (max(queries, wide) + RANK_PLACES)


def _pass(tokens: int) -> int:
    """Tokens of the largest pass: passes are about equal, in multiples of what products work in."""
    each = -(-tokens // max(1, -(-tokens // PASS_TOKENS)))
    return min(tokens, -(-each // PASS_MULTIPLE) * PASS_MULTIPLE)


def _widths(model: ModelFacts) -> tuple[int, int, int, int]:
    return (
        model.hidden_size,
        model.num_heads * model.head_dim,
        model.num_kv_heads * model.head_dim,
        model.intermediate_size,
    )


def _has_branch_norms(model: ModelFacts) -> bool:
    parts = family_for(model.model_type).layer
    return parts is not None and parts.output_norm is not None


def _has_head_norms(model: ModelFacts) -> bool:
    parts = family_for(model.model_type).layer
    return parts is not None and parts.query_key_norms is not None
