"""An adapter folder in PEFT's layout: config, tensors, tokenizer, chat template and the ledger of what was trained."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.saving.files import file_hash
from tui_tuner.errors import AdapterError
from tui_tuner.events import EvalFinished
from tui_tuner.plan import AdapterPlan, RunPlan

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MANIFEST = "manifest.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model")
MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where an adapter comes from; written beside it."""

    base_fingerprint: str
    base_files: Mapping[str, str]
    """sha256 of each weight file whose hash is known without reading it."""
    data_hash: str
    template_hash: str
    template_text: str
    tokenizer_folder: Path
    end_of_turn_ids: tuple[int, ...]
    versions: dict[str, str]


def save_adapter(folder: Path, trained: TrainedSet, plan: RunPlan) -> None:
    """Write the tensors and PEFT's config into an existing folder."""
    tensors = {name: one.parameter.detach().to("cpu", copy=True) for one in trained.tensors for name in one.saved_names}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    lora_config(plan).save_pretrained(str(folder))


def save_text_side(folder: Path, provenance: Provenance) -> None:
    """Write the tokenizer and the chat template, so that the folder answers as it was trained to."""
    for name in TOKENIZER_FILES:
        source = provenance.tokenizer_folder / name
        if source.is_file():
            shutil.copyfile(source, folder / name)
    (folder / "chat_template.jinja").write_text(provenance.template_text, encoding="utf-8")


def text_bytes(provenance: Provenance) -> int:
    """What `save_text_side` takes on the disk, about."""
    files = (provenance.tokenizer_folder / name for name in TOKENIZER_FILES)
    return len(provenance.template_text) + sum(file.stat().st_size for file in files if file.is_file())


def save_manifest(
    folder: Path, trained: TrainedSet, plan: RunPlan, provenance: Provenance, measured: EvalFinished | None = None
) -> None:
    """Write the ledger of what was trained, from what, with the hash of every file that lies in the folder by now."""
    manifest = _manifest(folder, trained, plan, provenance)
    if measured is not None:
        manifest["held_out"] = {"step": measured.step, "loss": measured.loss, "rows": measured.rows}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def load_adapter(folder: Path, trained: TrainedSet) -> None:
    """Fill a model's opened tensors from an adapter folder; every tensor must be matched, both ways.

    Raises:
        AdapterError: tensors are missing, left over, of another shape, or not finite.
    """
    names = {name: name for one in trained.tensors for name in one.saved_names}
    fill_from(folder, trained, names, is_complete=True)


def fill_from(folder: Path, trained: TrainedSet, stored_names: Mapping[str, str], *, is_complete: bool = False) -> None:
    """The same for a file whose tensors have names of their own; what `stored_names` does not name is left alone.

    Args:
        stored_names: name in the file of each tensor, by the name that PEFT would give it.
        is_complete: whether the file may hold nothing else.

    Raises:
        AdapterError: as `load_adapter` does.
    """
    try:
        stored = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{folder / WEIGHTS} cannot be read: {error}.") from error
    wanted = {name for one in trained.tensors for name in one.saved_names}
    there = {name for name, place in stored_names.items() if place in stored}
    strange = stored.keys() - set(stored_names.values()) if is_complete else set()
    missing, extra = sorted(wanted - there), sorted((stored_names.keys() - wanted) | strange)
    if missing or extra:
        raise AdapterError(
            f"{folder} does not fit the model: {_some(missing)} missing, {_some(extra)} left over.",
            "It was made for another base model or another set of target modules.",
        )
    for one in trained.tensors:
        values = [stored[stored_names[name]] for name in one.saved_names]
        _fill(one.parameter, values[0], one.saved_names[0], folder)
        if not all(torch.equal(value, values[0]) for value in values):
            raise AdapterError(
                f"{folder} holds two different matrices, {' and '.join(one.saved_names)}; the model has one for both.",
                "Its embeddings and head were trained apart: go on with it on a base that is not tied.",
            )


def lora_config(plan: RunPlan) -> Any:
    """PEFT's own description of the adapter, so that PEFT, and all that build on it, load it."""
    adapter = plan.adapter
    return LoraConfig(
        task_type="CAUSAL_LM",
        base_model_name_or_path=base_name(plan),
        revision=plan.model.revision,
        r=adapter.rank,
        lora_alpha=_whole(adapter.alpha),
        rank_pattern={one.path: one.rank for one in adapter.targets if one.rank is not None},
        alpha_pattern={one.path: _whole(one.alpha) for one in adapter.targets if one.alpha is not None},
        lora_dropout=adapter.dropout,
        target_modules=sorted(adapter.target_names),
        layers_to_transform=list(adapter.layers) if adapter.layers is not None else None,
        modules_to_save=list(adapter.modules_to_save) or None,
        use_rslora=adapter.use_rslora,
        use_dora=adapter.use_dora,
        ensure_weight_tying=trains_tied_weights(adapter),
        inference_mode=True,
    )


def trains_tied_weights(adapter: AdapterPlan) -> bool:
    """Whether the embeddings and the head are one trained matrix."""
    return any(module.is_tied for module in adapter.saved_modules)


def base_name(plan: RunPlan) -> str:
    """What the adapter names as its base: a hub id, or the absolute path of a folder."""
    wanted = plan.recipe.export.base_name
    if wanted != "auto":
        return wanted
    source = Path(plan.model.source)
    return str(source.resolve()) if source.is_dir() else plan.model.source


def _whole(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _manifest(folder: Path, trained: TrainedSet, plan: RunPlan, provenance: Provenance) -> dict[str, Any]:
    return {
        "format": MANIFEST_VERSION,
        "base": {
            "source": plan.model.source,
            "revision": plan.model.revision,
            "fingerprint": provenance.base_fingerprint,
            "files": dict(provenance.base_files),
            "quantization": plan.quantization,
            "dtype": plan.dtype,
        },
        "adapter": plan.adapter.model_dump(mode="json", exclude={"targets"}),
        "num_trainable": trained.num_parameters,
        "tensors": [
            {
                "name": one.name,
                "saved_names": list(one.saved_names),
                "shape": list(one.parameter.shape),
                "dtype": str(one.parameter.dtype).removeprefix("torch."),
                "group": one.group,
            }
            for one in trained.tensors
        ],
        "learning_rates": plan.learning_rates.model_dump(),
        "data_hash": provenance.data_hash,
        "template_hash": provenance.template_hash,
        "end_of_turn_ids": list(provenance.end_of_turn_ids),
        "versions": provenance.versions,
        "files": {path.name: file_hash(path) for path in sorted(folder.iterdir())},
    }


def _fill(parameter: torch.nn.Parameter, stored: Tensor, name: str, folder: Path) -> None:
    if stored.shape != parameter.shape:
        raise AdapterError(
            f"{folder}: {name} has shape {list(stored.shape)}, the model needs {list(parameter.shape)}.",
            "The adapter was made for another base model or rank.",
        )
    if not torch.isfinite(stored).all():
        raise AdapterError(
            f"{folder}: {name} holds NaN or infinite values.", "The adapter is damaged; use another one."
        )
    with torch.no_grad():
        parameter.copy_(stored)


def _some(names: list[str]) -> str:
    if not names:
        return "nothing"
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")
