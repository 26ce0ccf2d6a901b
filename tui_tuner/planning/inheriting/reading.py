"""Reads an adapter folder in PEFT's layout, whoever wrote it: config and headers only, and nothing of it is run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui_tuner.errors import AdapterError, ModelError
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.coverage import configured_targets
from tui_tuner.planning.inheriting.origin import read_origin
from tui_tuner.planning.inheriting.strengths import CONFIG_FILE, alpha_of, number, strengths
from tui_tuner.planning.inheriting.tensor_names import LORA_A, is_low_rank, module_path, saved_name
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.safetensors_header import StoredTensor, read_header

WEIGHTS_FILE = "adapter_model.safetensors"
# Settings of PEFT that change what an adapter is and that tuner does not train.
UNSUPPORTED = (
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "alora_invocation_tokens",
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "velora_config",
)
RESIDUAL_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin that take the adapter's first weights out of the base: on the published base it says something else."""
SAVED_AS_LEAF = ("embed_tokens", "lm_head")
# What else PEFT 0.21 and other trainers write: read here, or without a say in what the adapter is.
KNOWN = frozenset(
    [
        "alpha_pattern",
        "auto_mapping",
        "base_model_name_or_path",
        "bias",
        "corda_config",
        "ensure_weight_tying",
        "eva_config",
        "exclude_modules",
        "fan_in_fan_out",
        "inference_mode",
        "init_lora_weights",
        "layers_pattern",
        "layers_to_transform",
        "loftq_config",
        "lora_alpha",
        "lora_dropout",
        "lora_ga_config",
        "megatron_core",
        "modules_to_save",
        "peft_type",
        "peft_version",
        "qalora_group_size",
        "r",
        "rank_pattern",
        "revision",
        "runtime_config",
        "target_modules",
        "task_type",
        "use_dora",
        "use_rslora",
    ]
)


def read_adapter(folder: Path) -> InheritedAdapter:
    """Read adapter_config.json and the header of adapter_model.safetensors.

    Raises:
        AdapterError: the folder is no LoRA adapter, or one that tuner cannot go on training.
    """
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", "Check the path under model.adapter.")
    try:
        _check_is_adapter(folder)
        config = read_json_object(folder / CONFIG_FILE, CONFIG_FILE)
        _check_supported(folder, config)
        tensors, stored_names = _tensors(folder)
        _check_parts(folder, config, tensors)
        origin = read_origin(folder)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    ranks = {module_path(one.name): one.shape[0] for one in tensors if one.name.endswith(LORA_A) and one.shape}
    found = strengths(folder, config, ranks)
    named = tuple(str(name) for name in _list(config.get("modules_to_save")))
    unnamed = _unnamed_modules(tensors, named)
    return InheritedAdapter(
        folder=folder,
        rank=int(config["r"]),
        alpha=alpha_of(folder, config),
        strengths=found,
        dropout=number(folder, config, "lora_dropout", 0.0),
        use_rslora=config.get("use_rslora") is True,
        use_dora=config.get("use_dora") is True,
        modules_to_save=(*named, *unnamed),
        targets=tuple(dict.fromkeys(path.rpartition(".")[2] for path in ranks)),
        layers=tuple(sorted({layer for path in ranks for layer in _layer_numbers(path)})),
        tensors=tensors,
        stored_names=stored_names,
        configured=configured_targets(config),
        origin=origin,
        base_name=str(config.get("base_model_name_or_path") or ""),
        unnamed_modules=unnamed,
        unknown_settings=tuple(sorted(name for name, value in config.items() if value and name not in KNOWN)),
    )


def _check_is_adapter(folder: Path) -> None:
    """A trainer's output folder holds adapters in folders of its own, and is none."""
    if (folder / CONFIG_FILE).exists():
        return
    inner = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG_FILE}"))
    shown = ", ".join(inner[:6])
    hint = f"Name one of the adapters in it: {shown}." if inner else "Name the folder that PEFT saved an adapter in."
    raise ModelError(f"{folder} has no {CONFIG_FILE}.", hint)


def _check_supported(folder: Path, config: dict[str, Any]) -> None:
    kind = str(config.get("peft_type", "")).upper()
    if kind != "LORA":
        raise ModelError(f"{folder} is a {kind or 'nameless'} adapter.", "Only LoRA adapters can be trained further.")
    for name in UNSUPPORTED:
        if config.get(name):
            raise ModelError(
                f"{folder} uses {name}, which tuner can neither train further nor merge.",
                "Merge it with PEFT's merge_and_unload and take that as the base, or start a new adapter.",
            )
    start = str(config.get("init_lora_weights", "")).lower()
    if start.startswith(RESIDUAL_STARTS):
        raise ModelError(
            f"{folder} began as {start}, which takes its first weights out of the base: it belongs to a changed base.",
            "Save it again as plain LoRA with PEFT's path_initial_model_for_weight_conversion.",
        )


def _check_parts(folder: Path, config: dict[str, Any], tensors: Sequence[StoredTensor]) -> None:
    """Refuse trained biases, and dumps of a whole model with its adapters; a model may well have no bias to train."""
    adapted = {module_path(one.name) for one in tensors if one.name.endswith(LORA_A)}
    adapted = {path for path in adapted if not path.endswith(SAVED_AS_LEAF)}  # PEFT saves these whole beside their LoRA
    for one in tensors:
        if config.get("bias", "none") != "none" and one.name.endswith(".bias"):
            raise ModelError(f"{folder} trains biases, which tuner does not.", "Start a new adapter instead.")
        if module_path(one.name) in adapted and not is_low_rank(one.name) and "lora_" not in one.name:
            raise ModelError(
                f"{folder} holds {module_path(one.name)} both in full and as an adapter: it is a whole model's dump.",
                "Save the adapter by itself, with save_pretrained of the PEFT model.",
            )


def _tensors(folder: Path) -> tuple[tuple[StoredTensor, ...], dict[str, str]]:
    """The adapter's tensors by their saved names, and the names in the file."""
    if not (folder / WEIGHTS_FILE).exists() and any(folder.glob("adapter_model*.safetensors")):
        raise ModelError(
            f"{folder} holds its weights in parts, which PEFT does not read either.",
            f"Join them into one {WEIGHTS_FILE} with safetensors' load_file and save_file.",
        )
    if not (folder / WEIGHTS_FILE).exists() and any(folder.glob("adapter_model.*")):
        raise ModelError(
            f"{folder} holds its weights as pickle, which can run any code when it is read.",
            "Save the adapter again with safetensors, on a machine that you can lose.",
        )
    tensors: list[StoredTensor] = []
    names: dict[str, str] = {}
    for tensor in read_header(folder / WEIGHTS_FILE):
        name = saved_name(tensor.name)
        if name is None:
            continue
        if ".lora_embedding_" in name:
            raise ModelError(
                f"{folder} trains {module_path(name)} with LoRA, which tuner does only for linear modules of layers.",
                "Merge it into its base, or start a new adapter with adapter.modules_to_save.",
            )
        if name in names:
            raise ModelError(
                f"{folder / WEIGHTS_FILE} holds {name} twice, as {names[name]} and as {tensor.name}.",
                "It holds several adapters or a whole model; save one adapter by itself.",
            )
        names[name] = tensor.name
        tensors.append(replace(tensor, name=name))
    return tuple(tensors), names


def _unnamed_modules(tensors: Sequence[StoredTensor], named: Sequence[str]) -> tuple[str, ...]:
    """Whole modules in the file that the config does not name: somebody trained them, and the config lost them."""
    found = []
    for tensor in tensors:
        path = module_path(tensor.name)
        if not is_low_rank(tensor.name) and "lora_" not in tensor.name and not any(map(path.endswith, named)):
            leaf = path.rpartition(".")[2]
            found.append(leaf if leaf in SAVED_AS_LEAF else path)
    return tuple(dict.fromkeys(found))


def _list(values: object) -> list[object]:
    return values if isinstance(values, list) else []


def _layer_numbers(path: str) -> list[int]:
    return [int(part) for part in path.split(".") if part.isdigit()][:1]
