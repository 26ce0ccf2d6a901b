"""Model folders that look whole to everything that reads headers only: large models that take no disk."""

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from tui_tuner.families import family_for, family_modules
from tui_tuner.planning.config_json import read_config

QWEN3_8B: dict[str, Any] = {
    "model_type": "qwen3",
    "architectures": ["Qwen3ForCausalLM"],
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "tie_word_embeddings": False,
    "max_position_embeddings": 40960,
    "torch_dtype": "bfloat16",
}
LLAMA_8B: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}
SMOL_135M: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hollow_hub(folder: Path) -> Path:
    """A hub cache with three models whose weights are declared but take no disk, and one that was not fetched whole."""
    add_to_hub(folder, "Qwen/Qwen3-8B", QWEN3_8B, licence="apache-2.0")
    add_to_hub(folder, "meta-llama/Llama-3.1-8B-Instruct", LLAMA_8B, licence="llama3.1")
    add_to_hub(folder, "HuggingFaceTB/SmolLM2-135M", SMOL_135M, has_template=False)
    add_to_hub(folder, "mistralai/Mistral-7B-v0.3", {**LLAMA_8B, "model_type": "mistral"}, has_weights=False)
    return folder


def add_to_hub(
    hub: Path,
    repo_id: str,
    config: dict[str, Any],
    *,
    licence: str = "",
    has_template: bool = True,
    has_weights: bool = True,
) -> Path:
    """One snapshot on branch main."""
    repo = hub / f"models--{repo_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    return hollow_model(
        repo / "snapshots" / COMMIT, config, licence=licence, has_template=has_template, has_weights=has_weights
    )


def hollow_model(
    folder: Path,
    config: dict[str, Any],
    *,
    licence: str = "",
    has_template: bool = True,
    has_weights: bool = True,
) -> Path:
    """A model folder that looks whole to everything that reads headers only."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    template = {"chat_template": "{{ messages }}"} if has_template else {}
    (folder / "tokenizer_config.json").write_text(json.dumps(template))
    if licence:
        (folder / "README.md").write_text(f"---\nlicense: {licence}\n---\n# A model\n")
    if has_weights:
        _declare_weights(folder)
    return folder


def _declare_weights(folder: Path) -> None:
    config = read_config(folder)
    header: dict[str, Any] = {}
    offset = 0
    for module in family_modules(family_for(config.model_type), config.shape):
        if module.kind == "head" and config.shape.tied_embeddings:
            continue
        end = offset + 2 * prod(module.weight)
        header[f"{module.path}.weight"] = {
            "dtype": "BF16",
            "shape": list(module.weight),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
