"""Mistral 7B, Nemo and Small (text)."""

from tui_tuner.families.layouts import TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, ModelFamily

MISTRAL = ModelFamily(
    name="mistral",
    model_types=("mistral",),
    causal_lm_class="MistralForCausalLM",
    layer_class="MistralDecoderLayer",
    norm_class="MistralRMSNorm",
    linears=attention() + gated_mlp(),
    norms=TWO_NORMS,
    layer=LayerParts(),
    defaults=size_defaults(32000, 4096, 14336, 32, 32, 8, 131072, tie_word_embeddings=False),
    tiny=tiny_config("mistral", head_dim=32),
)
