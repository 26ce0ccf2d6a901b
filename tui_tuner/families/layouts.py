"""Module lists that several families share, so that a family file states only what is its own."""

from tui_tuner.families.types import ConfigValue, Linear, Norm, Width


def attention(bias: bool | str = False, output_bias: bool | str | None = None) -> tuple[Linear, ...]:
    """Separate query, key, value and output projections. `output_bias` differs from `bias` where it is given."""
    return (
        Linear("self_attn.q_proj", Width.HIDDEN, Width.QUERY, bias),
        Linear("self_attn.k_proj", Width.HIDDEN, Width.KEY_VALUE, bias),
        Linear("self_attn.v_proj", Width.HIDDEN, Width.KEY_VALUE, bias),
        Linear("self_attn.o_proj", Width.QUERY, Width.HIDDEN, bias if output_bias is None else output_bias),
    )


def gated_mlp(bias: bool | str = False) -> tuple[Linear, ...]:
    """down(act(gate(x)) * up(x))."""
    return (
        Linear("mlp.gate_proj", Width.HIDDEN, Width.INTERMEDIATE, bias),
        Linear("mlp.up_proj", Width.HIDDEN, Width.INTERMEDIATE, bias),
        Linear("mlp.down_proj", Width.INTERMEDIATE, Width.HIDDEN, bias),
    )


TWO_NORMS = (Norm("input_layernorm"), Norm("post_attention_layernorm"))
FOUR_NORMS = (*TWO_NORMS, Norm("pre_feedforward_layernorm"), Norm("post_feedforward_layernorm"))
QUERY_KEY_NORMS = (Norm("self_attn.q_norm", Width.HEAD), Norm("self_attn.k_norm", Width.HEAD))


def tiny_config(model_type: str, **own: ConfigValue) -> dict[str, ConfigValue]:
    """Two layers with grouped-query attention; heads x head_dim is the hidden size unless `own` says otherwise."""
    shape: dict[str, ConfigValue] = {
        "model_type": model_type,
        "vocab_size": 256,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": 2,
    }
    return shape | own


def size_defaults(
    vocab: int,
    hidden: int,
    intermediate: int,
    layers: int,
    heads: int,
    kv_heads: int | None,
    context: int,
    **own: ConfigValue,
) -> dict[str, ConfigValue]:
    """Sizes that a config class assumes where config.json leaves them out; no kv_heads means as many as heads."""
    sizes: dict[str, ConfigValue] = {
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "max_position_embeddings": context,
    }
    return sizes | own
