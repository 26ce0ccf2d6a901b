"""An adapter folder in PEFT's layout that training goes on from: its settings and which modules its file adapts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tui_tuner.errors import AdapterError, ModelError, Problem, RecipeError
from tui_tuner.families import ModelFamily, ModuleShape
from tui_tuner.planning.inheriting.coverage import ConfiguredTargets, check_coverage, configured_targets
from tui_tuner.planning.inheriting.origin import Origin, largest_added_token, read_origin
from tui_tuner.planning.inheriting.tensor_names import (
    LORA_A,
    is_low_rank,
    module_path,
    saved_name,
)
from tui_tuner.planning.inheriting.tensor_names import PEFT_PREFIX as PEFT_PREFIX
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.safetensors_header import StoredTensor, read_header
from tui_tuner.planning.weights import loaded_name
from tui_tuner.recipe import AdapterSection

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
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
    "use_qalora",
)
RESIDUAL_STARTS = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin that take the adapter's first weights out of the base: on the published base it says something else."""
SAVED_AS_LEAF = ("embed_tokens", "lm_head")


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
    """By the names that PEFT would give them."""
    stored_names: Mapping[str, str]
    """How each of them is called in the file."""
    configured: ConfiguredTargets
    origin: Origin | None
    """The run that made it, where the folder has our manifest."""
    unnamed_modules: tuple[str, ...] = ()
    """Of `modules_to_save`, what the file holds in full although its config does not name it."""

    @property
    def variant(self) -> str:
        names = [name for name, is_on in (("rslora", self.use_rslora), ("dora", self.use_dora)) if is_on]
        return "+".join(names) or "lora"

    @property
    def paths(self) -> tuple[str, ...]:
        """Modules that carry a low-rank part."""
        return tuple(module_path(one.name) for one in self.tensors if one.name.endswith(LORA_A))

    def applied_to(self, section: AdapterSection, modules: Sequence[ModuleShape]) -> AdapterSection:
        """The section with this adapter's settings, on a model of these modules.

        Raises:
            RecipeError: the recipe sets something else than what is inherited. Dropout may be set anew.
            AdapterError: the model lacks modules that carry adapters, or the file lacks some that its config names.
        """
        is_confirmed = "layers" in section.model_fields_set
        check_coverage(self.folder, self.configured, self.paths, modules, layers_are_confirmed=is_confirmed)
        targets, layers = self._chosen(modules)
        taken: dict[str, Any] = {
            "rank": self.rank,
            "alpha": self.alpha,
            "variant": self.variant,
            "modules_to_save": self.modules_to_save,
            "targets": targets,
            "layers": layers,
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

    def _chosen(self, modules: Sequence[ModuleShape]) -> tuple[tuple[str, ...], str | tuple[int, ...]]:
        """Targets and layers as a recipe names them: by last names where these choose exactly the same modules."""
        linears = [module for module in modules if module.kind == "linear"]
        layers = {layer for module in linears if (layer := module.layer) is not None}
        paths = set(self.paths)
        named = {
            module.path
            for module in linears
            if module.path.rpartition(".")[2] in self.targets and module.layer in self.layers
        }
        if named != paths:
            return self.paths, "all"
        return self.targets, "all" if layers <= set(self.layers) else self.layers

    def on(self, family: ModelFamily) -> "InheritedAdapter":
        """The same with the names that the family's model has when it is loaded, where its files once had others."""
        renamed = {one.name: _loaded(one.name, family) for one in self.tensors}
        return replace(
            self,
            tensors=tuple(replace(one, name=renamed[one.name]) for one in self.tensors),
            stored_names={renamed[name]: stored for name, stored in self.stored_names.items()},
        )

    def check_vocabulary(self, rows: int) -> None:
        """Compare with a base model of so many rows of embeddings.

        Raises:
            AdapterError: it was trained on a model with more tokens, whose rows are lost.
        """
        largest = largest_added_token(self.folder)
        if largest is not None and largest >= rows:
            raise AdapterError(
                f"{self.folder} was trained with a token {largest}, the model's vocabulary ends at {rows}: "
                "it belongs to a base that was resized, and its new rows are nowhere here.",
                "Name the resized model under model.source; without it this adapter cannot be gone on with.",
            )

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
        tensors, stored_names = _tensors(folder)
        origin = read_origin(folder)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error
    rank = _rank(folder, config, tensors)
    paths = [module_path(tensor.name) for tensor in tensors if tensor.name.endswith(LORA_A)]
    named = tuple(str(name) for name in _list(config.get("modules_to_save")))
    unnamed = _unnamed_modules(tensors, named)
    return InheritedAdapter(
        folder=folder,
        rank=rank,
        alpha=_number(folder, config, "lora_alpha", float(rank)),
        dropout=_number(folder, config, "lora_dropout", 0.0),
        use_rslora=config.get("use_rslora") is True,
        use_dora=config.get("use_dora") is True,
        modules_to_save=(*named, *unnamed),
        targets=tuple(dict.fromkeys(path.rpartition(".")[2] for path in paths)),
        layers=tuple(sorted({layer for path in paths for layer in _layer_numbers(path)})),
        tensors=tensors,
        stored_names=stored_names,
        configured=configured_targets(config),
        origin=origin,
        unnamed_modules=unnamed,
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
    start = str(config.get("init_lora_weights", "")).lower()
    if start.startswith(RESIDUAL_STARTS):
        raise ModelError(
            f"{folder} began as {start}, which takes its first weights out of the base: it belongs to a changed base.",
            "Save it again as plain LoRA with PEFT's path_initial_model_for_weight_conversion.",
        )


def _tensors(folder: Path) -> tuple[tuple[StoredTensor, ...], dict[str, str]]:
    """The adapter's tensors by their saved names, and the names in the file."""
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


def _list(values: object) -> list[object]:
    return values if isinstance(values, list) else []


def _number(folder: Path, config: dict[str, Any], name: str, default: float) -> float:
    value = config.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        raise AdapterError(f"{folder}: {CONFIG_FILE} says {name} is {value!r}.", "The file is damaged.")
    return float(value) or default


def _loaded(name: str, family: ModelFamily) -> str:
    return PEFT_PREFIX + loaded_name(name.removeprefix(PEFT_PREFIX), family)


def _layer_numbers(path: str) -> list[int]:
    return [int(part) for part in path.split(".") if part.isdigit()][:1]


def _is_same(set_value: Any, taken: Any) -> bool:
    if isinstance(set_value, tuple) and isinstance(taken, tuple):
        return set(set_value) == set(taken)
    return bool(set_value == taken) or set_value == "auto"


def _said(value: Any) -> str:
    return ", ".join(map(str, value[:8])) or "none" if isinstance(value, tuple) else str(value)
