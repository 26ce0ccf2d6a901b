"""An adapter folder in PEFT's layout that training goes on from: its settings and which modules its file adapts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tui_tuner.errors import AdapterError, ModelError, Problem, RecipeError
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.safetensors_header import StoredTensor, read_header
from tui_tuner.recipe import AdapterSection

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
PEFT_PREFIX = "base_model.model."
LORA_A = ".lora_A.weight"
# Settings of PEFT that change what an adapter is and that tuner does not train.
UNSUPPORTED = (
    "rank_pattern",
    "alpha_pattern",
    "trainable_token_indices",
    "target_parameters",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "alora_invocation_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InheritedAdapter:
    """What a new run takes over."""

    folder: Path
    rank: int
    alpha: float
    dropout: float
    use_rslora: bool
    use_dora: bool
    modules_to_save: tuple[str, ...]
    targets: tuple[str, ...]
    layers: tuple[int, ...]
    """Layers that carry adapters, by the names of the tensors."""
    tensors: tuple[StoredTensor, ...]

    @property
    def variant(self) -> str:
        names = [name for name, is_on in (("rslora", self.use_rslora), ("dora", self.use_dora)) if is_on]
        return "+".join(names) or "lora"

    def applied_to(self, section: AdapterSection, num_layers: int) -> AdapterSection:
        """The section with this adapter's settings, on a model of so many layers.

        Raises:
            RecipeError: the recipe sets something else than what is inherited. Dropout may be set anew.
        """
        taken: dict[str, Any] = {
            "rank": self.rank,
            "alpha": self.alpha,
            "variant": self.variant,
            "modules_to_save": self.modules_to_save,
            "targets": self.targets,
            "layers": "all" if len(self.layers) >= num_layers else self.layers,
        }
        problems = [
            Problem(path=f"adapter.{name}", message=f"is set, but {self.folder} has {_said(value)}; leave it out")
            for name, value in taken.items()
            if name in section.model_fields_set and not _is_same(getattr(section, name), value)
        ]
        if problems:
            raise RecipeError(problems)
        dropout = section.dropout if "dropout" in section.model_fields_set else self.dropout
        return section.model_copy(update={**taken, "dropout": dropout})

    def check_tensors(self, expected: Mapping[str, tuple[int, ...]]) -> None:
        """Compare the file with what its settings give on the base model.

        Raises:
            AdapterError: naming the first tensor that is missing, left over or of another shape.
        """
        stored = {tensor.name: tensor.shape for tensor in self.tensors}
        for name in sorted(expected.keys() | stored.keys()):
            if stored.get(name) != expected.get(name):
                found = f"has {list(stored[name])}" if name in stored else "lacks it"
                wanted = f"needs {list(expected[name])}" if name in expected else "has no such tensor"
                raise AdapterError(
                    f"{self.folder} does not fit the model at {name}: the adapter {found}, the model {wanted}.",
                    "It was made for another base model, or its two files do not belong together.",
                )


def read_adapter(folder: Path) -> InheritedAdapter:
    """Read adapter_config.json and the header of adapter_model.safetensors.

    Raises:
        AdapterError: the folder is no LoRA adapter, or one that tuner cannot go on training.
    """
    if not folder.is_dir():
        raise AdapterError(f"The adapter folder {folder} does not exist.", "Check the path under model.adapter.")
    try:
        config = read_json_object(folder / CONFIG_FILE, CONFIG_FILE)
        _check_supported(folder, config)
        tensors = _tensors(folder)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    rank = _rank(folder, config, tensors)
    names = config.get("modules_to_save") or []
    paths = [tensor.name.removesuffix(LORA_A) for tensor in tensors if tensor.name.endswith(LORA_A)]
    return InheritedAdapter(
        folder=folder,
        rank=rank,
        alpha=float(config.get("lora_alpha") or rank),
        dropout=float(config.get("lora_dropout") or 0.0),
        use_rslora=config.get("use_rslora") is True,
        use_dora=config.get("use_dora") is True,
        modules_to_save=tuple(str(name) for name in names),
        targets=tuple(dict.fromkeys(path.rpartition(".")[2] for path in paths)),
        layers=tuple(sorted({layer for path in paths for layer in _layer_numbers(path)})),
        tensors=tensors,
    )


def _check_supported(folder: Path, config: dict[str, Any]) -> None:
    kind = str(config.get("peft_type", "")).upper()
    if kind != "LORA":
        raise ModelError(f"{folder} is a {kind or 'nameless'} adapter.", "Only LoRA adapters can be trained further.")
    for name in UNSUPPORTED:
        if config.get(name):
            raise ModelError(f"{folder} uses {name}, which tuner cannot train further.", "Start a new adapter instead.")
    if config.get("bias", "none") != "none":
        raise ModelError(f"{folder} trains biases, which tuner does not.", "Start a new adapter instead.")


def _tensors(folder: Path) -> tuple[StoredTensor, ...]:
    if not (folder / WEIGHTS_FILE).exists() and any(folder.glob("adapter_model.*")):
        raise ModelError(
            f"{folder} holds its weights as pickle, which can run any code when it is read.",
            "Save the adapter again with safetensors.",
        )
    return read_header(folder / WEIGHTS_FILE)


def _rank(folder: Path, config: dict[str, Any], tensors: tuple[StoredTensor, ...]) -> int:
    ranks = {tensor.shape[0] for tensor in tensors if tensor.name.endswith(LORA_A) and tensor.shape}
    rank = config.get("r")
    if not isinstance(rank, int) or ranks != {rank}:
        found = ", ".join(str(one) for one in sorted(ranks)) or "none"
        raise AdapterError(
            f"{folder}: {CONFIG_FILE} says rank {rank}, the weights have {found}.",
            "The two files do not belong together.",
        )
    return rank


def _layer_numbers(path: str) -> list[int]:
    return [int(part) for part in path.split(".") if part.isdigit()][:1]


def _is_same(set_value: Any, taken: Any) -> bool:
    if isinstance(set_value, tuple) and isinstance(taken, tuple):
        return set(set_value) == set(taken)
    return bool(set_value == taken) or set_value == "auto"


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, tuple) else str(value)
