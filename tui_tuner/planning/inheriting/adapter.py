"""An adapter that training goes on from, as a value: its settings, its tensors, and how they fit a base model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tui_tuner.errors import AdapterError, Problem, RecipeError
from tui_tuner.families import ModelFamily, ModuleShape
from tui_tuner.planning.inheriting.coverage import ConfiguredTargets, check_coverage
from tui_tuner.planning.inheriting.origin import Origin, largest_added_token
from tui_tuner.planning.inheriting.strengths import Strength
from tui_tuner.planning.inheriting.tensor_names import LORA_A, PEFT_PREFIX, module_path
from tui_tuner.planning.safetensors_header import StoredTensor
from tui_tuner.planning.weights import loaded_name
from tui_tuner.recipe import AdapterSection


@dataclass(frozen=True, slots=True, kw_only=True)
class InheritedAdapter:
    """What a new run takes over."""

    folder: Path
    rank: int
    """Of modules that have none of their own, as is `alpha`."""
    alpha: float
    strengths: Mapping[str, Strength]
    """Rank and alpha of each adapted module, by its path."""
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
    base_name: str = ""
    """What its config names as its base model: a hub id or somebody's path."""
    unnamed_modules: tuple[str, ...] = ()
    """Of `modules_to_save`, what the file holds in full although its config does not name it."""
    unknown_settings: tuple[str, ...] = ()
    """What its config sets and tuner does not know."""

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
            strengths={loaded_name(path, family): strength for path, strength in self.strengths.items()},
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
                self._check_tied_pair(name, stored)
                found = f"has {list(stored[name])}" if name in stored else "lacks it"
                wanted = f"needs {list(expected[name])}" if name in expected else "has no such tensor"
                raise AdapterError(
                    f"{self.folder} does not fit the model at {name}: the adapter {found}, the model {wanted}.",
                    "It was made for another base model, or its two files do not belong together.",
                )

    def _check_tied_pair(self, name: str, stored: Mapping[str, tuple[int, ...]]) -> None:
        """One of two names of a tied matrix: trained apart, the two would no longer be one."""
        missing, other = module_path(name).rpartition(".")[2], {"embed_tokens": "lm_head", "lm_head": "embed_tokens"}
        if name not in stored and missing in other and other[missing] in self.modules_to_save:
            raise AdapterError(
                f"{self.folder} has trained {other[missing]} and lacks {missing}, which is trained with it here.",
                "Where both are one matrix in the model, it was trained apart: name a base that is not tied. "
                f"Where they are two, the file has lost {missing}.",
            )


def _loaded(name: str, family: ModelFamily) -> str:
    return PEFT_PREFIX + loaded_name(name.removeprefix(PEFT_PREFIX), family)


def _is_same(set_value: Any, taken: Any) -> bool:
    if isinstance(set_value, tuple) and isinstance(taken, tuple):
        return set(set_value) == set(taken)
    return bool(set_value == taken) or set_value == "auto"


def _said(value: Any) -> str:
    return ", ".join(map(str, value[:8])) or "none" if isinstance(value, tuple) else str(value)
