"""A model's settings as GGUF keys: sizes, norms, rotary positions. Refuses what llama.cpp would compute otherwise."""

import math
from typing import Any

import numpy as np
import torch
from gguf import MODEL_ARCH_NAMES
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tui_tuner.engine.exporting.gguf_files.families import GgufFamily
from tui_tuner.errors import ModelError

QK_NORM_LAYERS = 64
"""Command R+ has them; llama.cpp tells it from Command R by its layers."""
Setting = int | float | str | bool
FloatArray = np.ndarray[tuple[int], np.dtype[np.float32]]


def model_settings(config: Any, family: GgufFamily, vocab_size: int) -> dict[str, Setting]:
    """Full keys and values, from a text model's config.

    Raises:
        ModelError: a setting has no equal in llama.cpp.
    """
    _check(config, family)
    heads, head_dim = config.num_attention_heads, _head_dim(config)
    settings: dict[str, Setting] = {
        "vocab_size": vocab_size,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None) or heads,
        "attention.key_length": head_dim,
        "attention.value_length": head_dim,
    }
    if family.uses_layer_norm:
        settings["attention.layer_norm_epsilon"] = float(config.layer_norm_eps)
    else:
        settings["attention.layer_norm_rms_epsilon"] = float(config.rms_norm_eps)
    for name, key in family.numbers.items():
        if getattr(config, name, None) is not None:
            settings[key] = float(getattr(config, name))
    for name, key in family.counts.items():
        if getattr(config, name, None) is not None:
            settings[key] = int(getattr(config, name))
    settings |= _rope_settings(config, head_dim)
    arch = MODEL_ARCH_NAMES[family.arch]
    return {f"{arch}.{key}": value for key, value in settings.items()}


def rope_tensors(config: Any) -> dict[str, FloatArray]:
    """Divisors of the rotary frequencies, where scaling needs a table of them."""
    rope = _rope(config)
    kind = rope.get("rope_type", "default")
    if kind == "longrope":
        return {
            f"rope_factors_{name}.weight": np.asarray(rope[f"{name}_factor"], dtype=np.float32)
            for name in ("long", "short")
        }
    if kind != "llama3":
        return {}
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    rotated = _rotated(config, _head_dim(config))
    plain = 1.0 / rope["rope_theta"] ** (torch.arange(0, rotated, 2, dtype=torch.float32) / rotated)
    return {"rope_freqs.weight": (plain / scaled).numpy().astype(np.float32)}


def _rope_settings(config: Any, head_dim: int) -> dict[str, Setting]:
    rope = _rope(config)
    settings: dict[str, Setting] = {
        "rope.dimension_count": _rotated(config, head_dim),
        "rope.freq_base": float(rope.get("rope_theta", 10_000.0)),
    }
    kind = rope.get("rope_type", "default")
    if kind == "linear":
        settings |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
    elif kind == "yarn":
        settings |= {
            "rope.scaling.type": "yarn",
            "rope.scaling.factor": float(rope["factor"]),
            "rope.scaling.original_context_length": int(_original_context(config, rope)),
        }
    elif kind == "longrope":
        original = int(_original_context(config, rope))
        scale = config.max_position_embeddings / original
        settings |= {
            "rope.scaling.original_context_length": original,
            # Su et al.: attention grows with the logarithm of how far the context is stretched.
            "rope.scaling.attn_factor": math.sqrt(1 + math.log(scale) / math.log(original)) if scale > 1 else 1.0,
        }
    elif kind not in ("default", "llama3"):
        raise ModelError(f"Rotary scaling {kind!r} has no equal in GGUF.", "Export this model as merged instead.")
    return settings


def _check(config: Any, family: GgufFamily) -> None:
    scalar = getattr(config, "query_pre_attn_scalar", None)
    if family.scales_by_head_dim and scalar is not None and scalar != _head_dim(config):
        raise ModelError(
            f"query_pre_attn_scalar is {scalar}, llama.cpp takes head_dim ({_head_dim(config)}).",
            "Export this model as merged, and convert that with llama.cpp's convert_hf_to_gguf.py.",
        )
    if getattr(config, "use_qk_norm", False) and config.num_hidden_layers < QK_NORM_LAYERS:
        raise ModelError(f"llama.cpp reads use_qk_norm from {QK_NORM_LAYERS} layers on, here are fewer.")
    own = getattr(config, "rope_parameters", None) or {}
    local = own.get("sliding_attention") if isinstance(own, dict) else None
    if isinstance(local, dict) and local.get("rope_theta", 10_000.0) != 10_000.0:
        raise ModelError("The rotary base of sliding layers is not 10,000, which llama.cpp takes for granted.")


def _rope(config: Any) -> dict[str, Any]:
    """Of the layers that see everything, where sliding layers have their own."""
    rope = getattr(config, "rope_parameters", None) or {}
    return dict(rope.get("full_attention", rope))


def _original_context(config: Any, rope: dict[str, Any]) -> int:
    found = rope.get("original_max_position_embeddings") or getattr(config, "original_max_position_embeddings", None)
    return int(found or config.max_position_embeddings)


def _rotated(config: Any, head_dim: int) -> int:
    share = _rope(config).get("partial_rotary_factor") or getattr(config, "partial_rotary_factor", None) or 1.0
    return int(head_dim * share)


def _head_dim(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
