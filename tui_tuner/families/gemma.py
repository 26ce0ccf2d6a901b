"""Gemma 1: heads wider than the hidden size, tied head."""

from tui_tuner.families.layouts import TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, ModelFamily

GEMMA = ModelFamily(
    name="gemma",
    model_types=("gemma",),
    causal_lm_class="GemmaForCausalLM",
    layer_class="GemmaDecoderLayer",
    norm_class="GemmaRMSNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=TWO_NORMS,
    layer=LayerParts(norm_adds_one=True),
    defaults=size_defaults(256000, 3072, 24576, 28, 16, 16, 8192, head_dim=256, tie_word_embeddings=True),
    tiny=tiny_config("gemma", head_dim=32),
)
