"""Granite 3: divided logits."""

from tui_tuner.families.layouts import TWO_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, LogitFields, ModelFamily

GRANITE = ModelFamily(
    name="granite",
    model_types=("granite",),
    causal_lm_class="GraniteForCausalLM",
    layer_class="GraniteDecoderLayer",
    norm_class="GraniteRMSNorm",
    linears=attention("attention_bias") + gated_mlp("mlp_bias"),
    norms=TWO_NORMS,
    layer=LayerParts(residual_multiplier="residual_multiplier", embedding_multiplier="embedding_multiplier"),
    logits=LogitFields(divisor="logits_scaling"),
    defaults=size_defaults(32000, 4096, 11008, 32, 32, None, 2048, tie_word_embeddings=False, logits_scaling=1.0),
    tiny=tiny_config("granite", logits_scaling=4.0),
)
