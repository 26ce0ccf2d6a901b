"""Gemma 2: four norms a layer, capped logits."""

from tui_tuner.families.layouts import FOUR_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LogitFields, ModelFamily

GEMMA2 = ModelFamily(
    name="gemma2",
    model_types=("gemma2",),
    causal_lm_class="Gemma2ForCausalLM",
    layer_class="Gemma2DecoderLayer",
    norm_class="Gemma2RMSNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=FOUR_NORMS,
    logits=LogitFields(softcap="final_logit_softcapping"),
    defaults=size_defaults(
        256000, 2304, 9216, 26, 8, 4, 8192, head_dim=256, tie_word_embeddings=True, final_logit_softcapping=30.0
    ),
    tiny=tiny_config("gemma2", head_dim=32, sliding_window=32),
)
