"""Gemma 3: four norms a layer, query and key norms. Of the models with images, the text part is trained."""

from dataclasses import replace

from tui_tuner.families.layouts import FOUR_NORMS, QUERY_KEY_NORMS, attention, gated_mlp, size_defaults, tiny_config
from tui_tuner.families.types import LayerParts, LogitFields, ModelFamily

GEMMA3 = ModelFamily(
    name="gemma3",
    model_types=("gemma3_text",),
    causal_lm_class="Gemma3ForCausalLM",
    layer_class="Gemma3DecoderLayer",
    norm_class="Gemma3RMSNorm",
    linears=attention("attention_bias") + gated_mlp(),
    norms=FOUR_NORMS + QUERY_KEY_NORMS,
    layer=LayerParts(
        attention_norm="post_attention_layernorm",
        mlp_norm="pre_feedforward_layernorm",
        output_norm="post_feedforward_layernorm",
        norm_adds_one=True,
        activation_field="hidden_activation",
        query_key_norms=("self_attn.q_norm", "self_attn.k_norm"),
    ),
    logits=LogitFields(softcap="final_logit_softcapping"),
    defaults=size_defaults(262208, 2304, 9216, 26, 8, 4, 131072, head_dim=256, tie_word_embeddings=True),
    tiny=tiny_config("gemma3_text", head_dim=32, sliding_window=32),
)

GEMMA3_WITH_IMAGES = replace(
    GEMMA3,
    name="gemma3_with_images",
    model_types=("gemma3",),
    causal_lm_class="Gemma3ForConditionalGeneration",
    decoder_path="model.language_model",
    embedding_path="model.language_model.embed_tokens",
    layers_path="model.language_model.layers",
    final_norm_path="model.language_model.norm",
    checkpoint_prefixes=(
        ("language_model.model.", "model.language_model."),
        ("language_model.lm_head.", "lm_head."),
    ),
    holds_more=True,
    tiny={},
)
"""Loading its weights into the text-only class would silently leave every weight random."""
