"""Model folders for tests: configs, weight files of any shapes, and the same models built by transformers on meta."""

import copy
import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from tui_tuner.planning.model_facts import BaseModel, read_base_model
from tui_tuner.planning.model_source import locate_model
from tui_tuner.recipe import ModelSection

ELEMENT_BYTES = {"F32": 4, "BF16": 2, "U8": 1}


def write_config(folder: Path, config: Mapping[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(dict(config)))
    return folder


def base_model(folder: Path, config: Mapping[str, Any]) -> BaseModel:
    """What planning makes of a folder with this config and whatever else is in it."""
    section = ModelSection(source=str(write_config(folder, config)))
    return read_base_model(locate_model(section), section)


def write_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], dtype: str = "F32") -> Path:
    """A safetensors file of zeros."""
    header: dict[str, Any] = {}
    offset = 0
    for name, shape in shapes.items():
        end = offset + prod(shape) * ELEMENT_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    return write_raw_weights(path, header, bytes(offset))


def write_raw_weights(path: Path, header: Mapping[str, Any], data: bytes) -> Path:
    """A safetensors file of any header and any data, right or wrong."""
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def meta_model(config: Mapping[str, Any]) -> Any:
    """The model that transformers builds for a config, without memory."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in config.items() if name != "model_type"}
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(config["model_type"], **fields))


def peft_counts(config: Mapping[str, Any], **settings: Any) -> tuple[int, int]:
    """Trainable and all parameters, as PEFT counts them. `ensure_weight_tying` where the config ties the head."""
    import torch
    from peft import LoraConfig, get_peft_model

    model = meta_model(config)
    # A copy, for PEFT writes the names of tied modules into the caller's list.
    settings = copy.deepcopy({"r": 4, "target_modules": "all-linear", **settings})
    settings["ensure_weight_tying"] = model.config.tie_word_embeddings and "modules_to_save" in settings
    with torch.device("meta"):
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
    counts: tuple[int, int] = adapted.get_nb_trainable_parameters()
    return counts
