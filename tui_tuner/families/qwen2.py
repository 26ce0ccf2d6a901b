"""Qwen 2 and 2.5: query, key and value carry biases."""

from tui_tuner.families.layouts import TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, ModelFamily

QWEN2 = ModelFamily(
    name="qwen2",
    model_types=("qwen2",),
    causal_lm_class="Qwen2ForCausalLM",
    layer_class="Qwen2DecoderLayer",
    norm_class="Qwen2RMSNorm",
    linears=attention(bias=True, output_bias=False) + gated_mlp(),
    norms=TWO_NORMS,
    layer=LayerParts(),
    defaults=size_defaults(151936, 4096, 22016, 32, 32, 32, 32768, tie_word_embeddings=False),
    tiny=tiny_config("qwen2", tie_word_embeddings=True),
)
