"""Qwen 3: a norm on each query and key head."""

from tui_tuner.families.layouts import QUERY_KEY_NORMS, TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, ModelFamily

QWEN3 = ModelFamily(
    name="qwen3",
    model_types=("qwen3",),
    causal_lm_class="Qwen3ForCausalLM",
    layer_class="Qwen3DecoderLayer",
    norm_class="Qwen3RMSNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=TWO_NORMS + QUERY_KEY_NORMS,
    layer=LayerParts(query_key_norms=("self_attn.q_norm", "self_attn.k_norm")),
    defaults=size_defaults(151936, 4096, 22016, 32, 32, 32, 32768, head_dim=128, tie_word_embeddings=False),
    tiny=tiny_config("qwen3", head_dim=32),
)
