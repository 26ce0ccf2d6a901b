"""From a model's config.json to its family and sizes. Runs nothing that came with the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import ModelError
from tui_tuner.families import GENERIC, ModelFamily, ModelShape, family_for
from tui_tuner.planning.json_files import read_json_object

MAX_LAYERS = 2048
MAX_WIDTH = 2**26
DEFAULT_CONTEXT = 2048

# Other names of the same sizes, in models that no family describes.
FIELD_NAMES = {
    "hidden_size": ("hidden_size", "n_embd", "d_model", "dim"),
    "num_hidden_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "num_attention_heads": ("num_attention_heads", "n_head", "num_heads", "n_heads"),
    "num_key_value_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "head_dim": ("head_dim",),
    "intermediate_size": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff"),
    "vocab_size": ("vocab_size", "padded_vocab_size"),
    "max_position_embeddings": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
}
CAUSAL_ENDINGS = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What a config.json says about a causal language model."""

    family: ModelFamily
    model_type: str
    architecture: str
    shape: ModelShape
    context_length: int
    dtype: str
    stored_quantization: str | None
    remote_code: tuple[str, ...]
    """The Python names under auto_map: files that would have to run."""
    unknowns: tuple[str, ...] = ()


def read_config(folder: Path, *, allow_remote_code: bool = False) -> ModelConfig:
    """Read `folder`/config.json.

    Raises:
        ModelError: no causal language model that tuner can train, or one that needs its own code to run.
    """
    path = folder / "config.json"
    if not path.exists():
        raise _no_config(folder)
    values = read_json_object(path, "config.json")
    nested = values.get("text_config")
    text: dict[str, Any] = nested if isinstance(nested, dict) else {}
    model_type = str(values.get("model_type") or "")
    if not model_type:
        raise ModelError(f"{path} names no model_type.", "This is no Hugging Face model folder.")
    family = family_for(model_type)
    _check_architecture(path, values, family)
    remote_code = _remote_code(values)
    if remote_code and not allow_remote_code and not family.is_known:
        raise ModelError(
            f"{folder} wants to run its own Python code ({remote_code[0]}).",
            "Read that code; if you trust it, set model.remote_code = true.",
        )
    fields = values | text
    return ModelConfig(
        family=family,
        model_type=model_type,
        architecture=_architecture(values, family),
        shape=_shape(path, fields, family),
        context_length=_size(path, fields, family, "max_position_embeddings") or DEFAULT_CONTEXT,
        dtype=str(fields.get("dtype") or fields.get("torch_dtype") or ""),
        stored_quantization=_stored_quantization(path, values),
        remote_code=remote_code,
        unknowns=_unknowns(path, fields, family),
    )


def _no_config(folder: Path) -> ModelError:
    if (folder / "adapter_config.json").exists():
        return ModelError(
            f"{folder} is an adapter, not a base model.",
            "Name its base under model.source, and this folder under model.adapter to go on training it.",
        )
    if any(folder.glob("*.gguf")):
        return ModelError(
            f"{folder} holds GGUF files, which are for running a model.", "Name the original model's folder or hub id."
        )
    return ModelError(f"{folder} has no config.json.", "Name the folder that holds config.json and *.safetensors.")


def _architecture(values: Mapping[str, Any], family: ModelFamily) -> str:
    named = values.get("architectures")
    return str(named[0]) if isinstance(named, list) and named else family.causal_lm_class


def _check_architecture(path: Path, values: Mapping[str, Any], family: ModelFamily) -> None:
    architecture = _architecture(values, family)
    is_causal = architecture.endswith(CAUSAL_ENDINGS) or architecture == GENERIC.causal_lm_class
    if values.get("is_encoder_decoder") is True or not is_causal:
        raise ModelError(
            f"{path}: {architecture} is not a causal language model, and tuner trains no others.",
            "Choose a model whose architecture ends in ForCausalLM.",
        )


def _remote_code(values: Mapping[str, Any]) -> tuple[str, ...]:
    auto_map = values.get("auto_map")
    return tuple(str(name) for name in auto_map.values()) if isinstance(auto_map, dict) else ()


def _shape(path: Path, fields: Mapping[str, Any], family: ModelFamily) -> ModelShape:
    hidden = _required(path, fields, family, "hidden_size")
    heads = _required(path, fields, family, "num_attention_heads")
    layers = _required(path, fields, family, "num_hidden_layers")
    if layers > MAX_LAYERS:
        raise ModelError(f"{path}: num_hidden_layers is {layers}; at most {MAX_LAYERS} are supported.")
    switches = {name for name, value in (dict(family.defaults) | dict(fields)).items() if value is True}
    return ModelShape(
        hidden_size=hidden,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=_size(path, fields, family, "num_key_value_heads") or heads,
        head_dim=_size(path, fields, family, "head_dim") or hidden // heads,
        intermediate_size=_size(path, fields, family, "intermediate_size") or 4 * hidden,
        vocab_size=_required(path, fields, family, "vocab_size"),
        tied_embeddings=_is_tied(fields, family),
        switches=frozenset(switches),
    )


def _is_tied(fields: Mapping[str, Any], family: ModelFamily) -> bool:
    # Every config class of transformers that leaves the field out counts as tied; families state their own default.
    value = fields.get("tie_word_embeddings", family.defaults.get("tie_word_embeddings", True))
    return bool(value)


def _required(path: Path, fields: Mapping[str, Any], family: ModelFamily, name: str) -> int:
    value = _size(path, fields, family, name)
    if value is None:
        raise ModelError(f"{path} does not say {name}.", "It is incomplete, or its architecture is not supported.")
    return value


def _size(path: Path, fields: Mapping[str, Any], family: ModelFamily, name: str) -> int | None:
    """A positive size; None where neither the file nor the family says one, or the file says null."""
    names = (name,) if family.is_known else FIELD_NAMES[name]
    found = next((one for one in names if one in fields), None)
    value = fields[found] if found is not None else family.defaults.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= MAX_WIDTH:
        raise ModelError(f"{path}: {found or name} is {value!r}, expected a whole number from 1 to {MAX_WIDTH}.")
    return value


def _stored_quantization(path: Path, values: Mapping[str, Any]) -> str | None:
    stored = values.get("quantization_config")
    if not isinstance(stored, dict):
        return None
    method = str(stored.get("quant_method", "bitsandbytes" if stored.get("load_in_4bit") else "unknown"))
    kind = str(stored.get("bnb_4bit_quant_type", "fp4"))
    if method == "bitsandbytes" and stored.get("load_in_4bit") is True and kind == "nf4":
        return "nf4"
    if method == "bitsandbytes":
        method = f"bitsandbytes {kind if stored.get('load_in_4bit') else 'int8'}"
    raise ModelError(
        f"{path}: the weights are stored as {method}, which tuner cannot train on.",
        'Name the 16-bit model instead; model.quantization = "nf4" makes it 4-bit on loading.',
    )


def _unknowns(path: Path, fields: Mapping[str, Any], family: ModelFamily) -> tuple[str, ...]:
    unknowns = []
    if _size(path, fields, family, "max_position_embeddings") is None:
        unknowns.append(f"config.json does not say the context length: {DEFAULT_CONTEXT} is assumed")
    if not family.is_known and _size(path, fields, family, "intermediate_size") is None:
        unknowns.append("config.json does not say the width of the MLP: 4 x hidden size is assumed for memory")
    return tuple(unknowns)
