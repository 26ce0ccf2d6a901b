"""What each model family is called in GGUF and how its tensors and settings differ there. Plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gguf import MODEL_ARCH

from tui_tuner.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFamily:
    """One architecture of llama.cpp."""

    arch: MODEL_ARCH
    interleaves_heads: bool = False
    """llama.cpp rotates neighbouring pairs here, transformers the halves of a head: rows of q and k change places."""
    norm_offset: float = 0.0
    """Added to norm weights: Gemma's are stored as the difference from one."""
    uses_layer_norm: bool = False
    """Mean and variance, not the root of the mean square."""
    can_untie: bool = True
    """Whether the architecture reads a head of its own."""
    numbers: Mapping[str, str] = field(default_factory=dict)
    """Field of config.json -> key, as float, where the config has a value."""
    counts: Mapping[str, str] = field(default_factory=dict)
    """The same as whole numbers."""
    scales_by_head_dim: bool = False
    """llama.cpp takes 1/sqrt(head_dim) as the scale of attention, whatever query_pre_attn_scalar says."""


_SLIDING = {"sliding_window": "attention.sliding_window"}
_CAPS = {"attn_logit_softcapping": "attn_logit_softcapping", "final_logit_softcapping": "final_logit_softcapping"}

GGUF_FAMILIES: Mapping[str, GgufFamily] = {
    "llama": GgufFamily(arch=MODEL_ARCH.LLAMA, interleaves_heads=True),
    "mistral": GgufFamily(arch=MODEL_ARCH.LLAMA, interleaves_heads=True),
    "qwen2": GgufFamily(arch=MODEL_ARCH.QWEN2),
    "qwen3": GgufFamily(arch=MODEL_ARCH.QWEN3),
    "gemma": GgufFamily(arch=MODEL_ARCH.GEMMA, norm_offset=1.0, can_untie=False),
    "gemma2": GgufFamily(
        arch=MODEL_ARCH.GEMMA2, norm_offset=1.0, can_untie=False, numbers=_CAPS, counts=_SLIDING,
        scales_by_head_dim=True,
    ),
    "gemma3_text": GgufFamily(
        arch=MODEL_ARCH.GEMMA3, norm_offset=1.0, can_untie=False,
        numbers={"final_logit_softcapping": "final_logit_softcapping"}, counts=_SLIDING, scales_by_head_dim=True,
    ),
    "phi3": GgufFamily(arch=MODEL_ARCH.PHI3, counts=_SLIDING),
    "granite": GgufFamily(
        arch=MODEL_ARCH.GRANITE, interleaves_heads=True,
        numbers={
            "attention_multiplier": "attention.scale", "embedding_multiplier": "embedding_scale",
            "residual_multiplier": "residual_scale", "logits_scaling": "logit_scale",
        },
    ),
    "cohere": GgufFamily(
        arch=MODEL_ARCH.COMMAND_R, uses_layer_norm=True, can_untie=False, numbers={"logit_scale": "logit_scale"}
    ),
    "cohere2": GgufFamily(
        arch=MODEL_ARCH.COHERE2, uses_layer_norm=True, can_untie=False, numbers={"logit_scale": "logit_scale"},
        counts=_SLIDING,
    ),
}  # fmt: skip
"""By config.json's model_type."""


def gguf_family(model_type: str) -> GgufFamily:
    """Raises ModelError for a model that tuner cannot write as GGUF."""
    family = GGUF_FAMILIES.get(model_type)
    if family is None:
        raise ModelError(
            f"tuner writes no GGUF of {model_type} models; it does of {', '.join(GGUF_FAMILIES)}.",
            "Export it as merged, and convert that with llama.cpp's convert_hf_to_gguf.py.",
        )
    return family
