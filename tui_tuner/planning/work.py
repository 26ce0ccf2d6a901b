"""The work of training one token: operations of products and attention, bytes that the rest moves.

Forward of a matrix is 2 operations a parameter and token, its input's gradient 2 more, and its own gradient, where it
is trained, 2 more (Kaplan et al. 2020, section 2.1: 6 N where all is trained; 4 N of a frozen base). Causal attention
over n tokens is 2 n operations a token and query element forward and 5 n backward, which computes the scores again
(Dao 2023, section 4.1).
"""

from tui_tuner.plan import DataFacts, RunPlan

ACTIVATION_PASSES = 9
"""Times that the elements of `activation_elements` go through memory: norms, gated products, rotations, adapters, their
backward passes. Fitted to `docs/performance.md`'s steps, with `speed.PRODUCT_SHARE`."""


def operations_per_token(plan: RunPlan) -> float:
    """Of forward and backward, with what the plan computes again."""
    model, data = plan.model, plan.data
    frozen, trained = _matrix_parameters(plan)
    head = model.vocab_size * model.hidden_size
    supervised = data.num_trained_tokens / data.num_tokens if data.num_tokens and data.num_trained_tokens else 1.0
    if plan.kernels == "off":  # the model's own forward makes the logits of every token
        supervised = 1.0
    trains_head = plan.adapter.method == "full" or any(one.group == "head" for one in plan.adapter.saved_modules)
    products = 4.0 * frozen + 6.0 * trained + (6.0 if trains_head else 4.0) * head * supervised
    queries = model.num_layers * model.num_heads * model.head_dim
    return products + 7.0 * mean_length(data) * queries + _computed_again(plan)


def frozen_operations_per_token(plan: RunPlan) -> float:
    """Of `operations_per_token`, the products with frozen weights of layers: a base in 8 bits makes them faster."""
    frozen, _ = _matrix_parameters(plan)
    return 4.0 * frozen + _computed_again(plan)


def activation_bytes_per_token(plan: RunPlan) -> float:
    """What passes through memory beside the products, of one token in all layers."""
    model = plan.model
    query, key_value = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    elements = 8 * model.hidden_size + 2 * (query + key_value) + 4 * model.intermediate_size
    return float(ACTIVATION_PASSES * model.num_layers * elements * (2 if plan.dtype == "bfloat16" else 4))


def mean_length(data: DataFacts) -> float:
    """Tokens of a row: what a token can attend to, whether rows are packed or not."""
    if not data.num_tokens or not data.num_rows:
        return float(data.max_length)
    return min(float(data.max_length), data.num_tokens / data.num_rows)


def _matrix_parameters(plan: RunPlan) -> tuple[float, float]:
    """Elements of the layers' matrices that are frozen, and of all that are trained; the head is counted apart."""
    linear, adapter = plan.model.num_linear_parameters, plan.adapter
    if adapter.method == "full":
        return 0.0, float(linear)
    whole = sum(one.num_parameters for one in adapter.saved_modules if one.group == "other")
    return float(linear - whole), float(adapter.num_adapter_parameters + whole)


def _computed_again(plan: RunPlan) -> float:
    """Our own layers compute q, k, v, gate and up again, offloaded ones o and attention where they do not send what
    these gave; other models their whole forward.
    """
    model = plan.model
    if plan.recompute == "off":
        return 0.0
    attention = mean_length(plan.data) * model.num_heads * model.head_dim
    if plan.layers is None:
        return 2.0 * (model.num_linear_parameters + model.num_layers * attention)
    query, key_value = model.num_heads * model.head_dim, model.num_kv_heads * model.head_dim
    again = float(model.hidden_size) * (query + 2 * key_value + 2 * model.intermediate_size)
    offloaded = again + (model.hidden_size * query if plan.layers.sends != "all" else 0)
    offloaded += attention if plan.layers.sends == "input" else 0.0
    return 2.0 * (plan.layers.recompute * again + plan.layers.offload * offloaded)
