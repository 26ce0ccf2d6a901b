"""Phi 3, 3.5 and 4 (text): query, key and value in one matrix, gate and up in another."""

from tui_tuner.families.layouts import TWO_NORMS, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, Linear, ModelFamily, Width

FUSED_LINEARS = (
    Linear("self_attn.o_proj", Width.QUERY, Width.HIDDEN),
    Linear("self_attn.qkv_proj", Width.HIDDEN, Width.FUSED_QKV),
    Linear("mlp.gate_up_proj", Width.HIDDEN, Width.TWICE_INTERMEDIATE),
    Linear("mlp.down_proj", Width.INTERMEDIATE, Width.HIDDEN),
)

PHI3 = ModelFamily(
    name="phi3",
    model_types=("phi3",),
    causal_lm_class="Phi3ForCausalLM",
    layer_class="Phi3DecoderLayer",
    norm_class="Phi3RMSNorm",
    linears=FUSED_LINEARS,
    norms=TWO_NORMS,
    layer=LayerParts(query_key_value=("self_attn.qkv_proj",), gate_up=("mlp.gate_up_proj",)),
    defaults=size_defaults(32064, 3072, 8192, 32, 32, None, 4096, tie_word_embeddings=False),
    tiny=tiny_config("phi3"),
)
