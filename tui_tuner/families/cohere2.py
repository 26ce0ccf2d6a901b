"""Command R7B and A: as Cohere, with sliding windows."""

from tui_tuner.families.layouts import attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, LogitFields, ModelFamily, Norm

COHERE2 = ModelFamily(
    name="cohere2",
    model_types=("cohere2",),
    causal_lm_class="Cohere2ForCausalLM",
    layer_class="Cohere2DecoderLayer",
    norm_class="Cohere2LayerNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=(Norm("input_layernorm"),),
    layer=LayerParts(mlp_norm=None, norm_centres=True, has_interleaved_rope=True, turns_only_windows=True),
    logits=LogitFields(multiplier="logit_scale"),
    defaults=size_defaults(256000, 8192, 22528, 40, 64, None, 8192, tie_word_embeddings=True, logit_scale=0.0625),
    tiny=tiny_config("cohere2", head_dim=32, sliding_window=32),
)
