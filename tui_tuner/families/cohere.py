"""Command R: one LayerNorm a layer, attention and MLP side by side, scaled logits."""

from tui_tuner.families.layouts import attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, LogitFields, ModelFamily, Norm, Width

COHERE_NORMS = (
    Norm("input_layernorm"),
    Norm("self_attn.q_norm", Width.QUERY_HEADS, only_if="use_qk_norm"),
    Norm("self_attn.k_norm", Width.KEY_VALUE_HEADS, only_if="use_qk_norm"),
)

COHERE = ModelFamily(
    name="cohere",
    model_types=("cohere",),
    causal_lm_class="CohereForCausalLM",
    layer_class="CohereDecoderLayer",
    norm_class="CohereLayerNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=COHERE_NORMS,
    layer=LayerParts(mlp_norm=None, norm_centres=True, has_interleaved_rope=True),
    logits=LogitFields(multiplier="logit_scale"),
    defaults=size_defaults(256000, 8192, 22528, 40, 64, None, 8192, tie_word_embeddings=True, logit_scale=0.0625),
    tiny=tiny_config("cohere"),
)
