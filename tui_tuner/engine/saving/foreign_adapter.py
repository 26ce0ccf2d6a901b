"""Puts an adapter on its base through PEFT, whoever made it: PEFT leaves out what it cannot name, and says nothing.

A file with names of its own, or a config with a regular expression, is therefore handed to PEFT tensor by tensor.
"""

from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file

from tui_tuner.errors import AdapterError, ModelError
from tui_tuner.families import family_for
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.reading import WEIGHTS_FILE, read_adapter
from tui_tuner.planning.inheriting.strengths import CONFIG_FILE
from tui_tuner.planning.inheriting.tensor_names import PEFT_PREFIX, saved_name
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.safetensors_header import read_header


def put_on_base(base_module: Any, folder: Path) -> Any:
    """The base with the adapter on it, as a PeftModel in evaluation mode.

    Raises:
        AdapterError: the folder is damaged, or its tensors are not those that its config needs on this base.
        OSError, ValueError, RuntimeError, KeyError, SafetensorError: whatever PEFT finds wrong.
    """
    if is_as_peft_writes(folder):
        return PeftModel.from_pretrained(base_module, str(folder)).eval()
    adapter = read_adapter(folder).on(family_for(base_module.config.model_type))
    model = PeftModel(base_module, _config(adapter))
    stored = load_file(folder / WEIGHTS_FILE)
    tensors = {name: stored[place] for name, place in adapter.stored_names.items()}
    loaded = set_peft_model_state_dict(model, tensors)
    missing = [name for name in loaded.missing_keys if "lora_" in name or "modules_to_save" in name]
    if missing or loaded.unexpected_keys:
        raise AdapterError(
            f"{folder} does not fit its base model at {(missing or loaded.unexpected_keys)[0]}.",
            "It was made for another base model, or its two files do not belong together.",
        )
    return model.eval()


def is_as_peft_writes(folder: Path) -> bool:
    """Whether every tensor has PEFT's name for it, and the config chooses modules by names.

    Raises:
        AdapterError: the files cannot be read, or are no safetensors.
    """
    try:
        config = read_json_object(folder / CONFIG_FILE, CONFIG_FILE)
        names = [tensor.name for tensor in read_header(folder / WEIGHTS_FILE)]
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    has_pattern = isinstance(config.get("target_modules"), str) and config["target_modules"] != "all-linear"
    return not has_pattern and all(name.startswith(PEFT_PREFIX) and saved_name(name) == name for name in names)


def _config(adapter: InheritedAdapter) -> LoraConfig:
    """The adapter's settings with every module by its path."""
    strengths = adapter.strengths
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        rank_pattern={path: one.rank for path, one in strengths.items() if one.rank != adapter.rank},
        alpha_pattern={path: one.alpha for path, one in strengths.items() if one.alpha != adapter.alpha},
        target_modules=list(adapter.paths),
        modules_to_save=list(adapter.modules_to_save) or None,
        use_rslora=adapter.use_rslora,
        use_dora=adapter.use_dora,
        inference_mode=True,
    )
