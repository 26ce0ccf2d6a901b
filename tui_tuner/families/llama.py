"""Llama 1 to 3.3, and the many models that took its shape."""

from tui_tuner.families.layouts import TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, ModelFamily

LLAMA = ModelFamily(
    name="llama",
    model_types=("llama",),
    causal_lm_class="LlamaForCausalLM",
    layer_class="LlamaDecoderLayer",
    norm_class="LlamaRMSNorm",
    linears=attention("attention_bias") + gated_mlp("mlp_bias"),
    norms=TWO_NORMS,
    layer=LayerParts(),
    defaults=size_defaults(32000, 4096, 11008, 32, 32, None, 2048, tie_word_embeddings=False),
    tiny=tiny_config("llama"),
)
