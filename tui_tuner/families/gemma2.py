"""Gemma 2: four norms a layer, capped logits."""

from tui_tuner.families.layouts import FOUR_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, LogitFields, ModelFamily

GEMMA2 = ModelFamily(
    name="gemma2",
    model_types=("gemma2",),
    causal_lm_class="Gemma2ForCausalLM",
    layer_class="Gemma2DecoderLayer",
    norm_class="Gemma2RMSNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=FOUR_NORMS,
    layer=LayerParts(
        attention_norm="post_attention_layernorm",
        mlp_norm="pre_feedforward_layernorm",
        output_norm="post_feedforward_layernorm",
        norm_adds_one=True,
        activation_field="hidden_activation",
        score_softcap="attn_logit_softcapping",
    ),
    logits=LogitFields(softcap="final_logit_softcapping"),
    defaults=size_defaults(
        256000, 2304, 9216, 26, 8, 4, 8192, head_dim=256, tie_word_embeddings=True, final_logit_softcapping=30.0
    ),
    tiny=tiny_config("gemma2", head_dim=32, sliding_window=32),
)
