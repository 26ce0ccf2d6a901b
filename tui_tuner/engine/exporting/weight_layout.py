"""Which tensors a merged model has, once tied heads, whole trained modules and resized vocabularies are counted in."""

from collections.abc import Iterator

import torch

from tui_tuner.engine.exporting.adapter_weights import AdapterWeights
from tui_tuner.engine.exporting.tensor_files import STORED_TYPES, TensorEntry
from tui_tuner.errors import AdapterError, ModelError
from tui_tuner.exports import MergeBase
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.planning.safetensors_header import StoredTensor

WEIGHT = ".weight"


class WeightLayout:
    """Of one base with one adapter, or with none. Raises AdapterError where they do not fit each other."""

    def __init__(
        self,
        base: BaseModel,
        names: dict[str, StoredTensor],
        adapter: AdapterWeights | None,
        mode: MergeBase,
        compute_dtype: torch.dtype,
    ) -> None:
        self._base, self._names, self._adapter, self._mode = base, names, adapter, mode
        self._compute_dtype = compute_dtype
        self._embedding = _path_of(base, "embedding", base.family.embedding_path) + WEIGHT
        self._head = _path_of(base, "head", base.family.head_path) + WEIGHT
        self.is_tied = base.facts.tied_embeddings and not self._unties()
        self._check()
        trained = self._trained_shape(self._embedding)
        self.vocab_size = trained[0] if trained else base.facts.vocab_size

    def tensors(self) -> Iterator[tuple[str, StoredTensor]]:
        """Name in the model, and where the base has what it begins with."""
        for name, tensor in self._names.items():
            if not (name == self._head and self._base.facts.tied_embeddings):
                yield name, tensor
        if self._base.facts.tied_embeddings and not self.is_tied:
            yield self._head, self._names[self._embedding]

    def entry(self, module_name: str, tensor: StoredTensor) -> TensorEntry:
        shape = self._trained_shape(module_name) or self._unpacked_shape(module_name, tensor)
        dtype = tensor.dtype
        is_float = dtype in STORED_TYPES.values() or tensor.dtype == "U8"
        if tensor.dtype == "U8" or (is_float and self._mode == "dequantised"):
            dtype = STORED_TYPES[self._compute_dtype]
        return TensorEntry(self.stored_name(module_name, tensor), dtype, shape)

    def stored_name(self, module_name: str, tensor: StoredTensor) -> str:
        is_new_head = module_name == self._head and tensor is self._names.get(self._embedding)
        return self._head if is_new_head else tensor.name

    def quantised(self) -> Iterator[str]:
        for module in self._base.modules:
            if module.kind == "linear" and f"{module.path}{WEIGHT}" in self._names:
                yield self._names[f"{module.path}{WEIGHT}"].name

    def _unties(self) -> bool:
        """Whether embeddings and head, one matrix in the base, are no longer one with this adapter on it."""
        if self._adapter is None:
            return False
        adapter = self._adapter
        touched = [
            name for name in (self._embedding, self._head)
            if name in adapter.whole or name.removesuffix(WEIGHT) in adapter.targets
        ]  # fmt: skip
        if touched and set(touched) == set(adapter.whole) & {self._embedding, self._head} and len(touched) == 2:
            return not torch.equal(adapter.whole_tensor(self._embedding), adapter.whole_tensor(self._head))
        return bool(touched)

    def _trained_shape(self, module_name: str) -> tuple[int, ...] | None:
        if self._adapter is None or module_name not in self._adapter.whole:
            return None
        return self._adapter.whole_shape(module_name)

    def _unpacked_shape(self, module_name: str, tensor: StoredTensor) -> tuple[int, ...]:
        if tensor.dtype != "U8":
            return tensor.shape
        return next(module.weight for module in self._base.modules if f"{module.path}{WEIGHT}" == module_name)

    def _check(self) -> None:
        if not self._names:
            raise ModelError(f"{self._base.facts.source} has no weight files here.", "Fetch the base model first.")
        if self._adapter is None:
            return
        has = self._names.keys() | ({self._head} if self._base.facts.tied_embeddings else set())
        wanted = [*(f"{path}{WEIGHT}" for path in self._adapter.targets), *self._adapter.whole]
        if strange := [name for name in wanted if name not in has]:
            raise AdapterError(
                f"{self._adapter.adapter.folder} changes {strange[0]}, which {self._base.facts.source} does not have.",
                "It was made for another base model; name that with --base-model.",
            )
        for name in self._adapter.whole:
            self._check_shape(name)
        for path in self._adapter.targets:
            self._check_parts(path)
        if not self.is_tied:
            self._check_vocabulary()

    def _check_shape(self, name: str) -> None:
        stored = self._names.get(name) or self._names[self._embedding]
        shape = self._adapter.whole_shape(name) if self._adapter else ()
        is_table = name in (self._embedding, self._head)
        if shape != stored.shape and not (is_table and shape[1:] == stored.shape[1:]):
            raise self._misfit(name, shape, stored.shape)

    def _check_parts(self, path: str) -> None:
        assert self._adapter is not None
        stored = self._names.get(f"{path}{WEIGHT}") or self._names[self._embedding]
        outputs, inputs = self._unpacked_shape(f"{path}{WEIGHT}", stored)
        shapes = {one.name: one.shape for one in self._adapter.adapter.tensors}
        found = (
            shapes[f"base_model.model.{path}.lora_B.weight"][0],
            shapes[f"base_model.model.{path}.lora_A.weight"][1],
        )
        if found != (outputs, inputs):
            raise self._misfit(path, found, (outputs, inputs))

    def _check_vocabulary(self) -> None:
        """Embeddings that were resized need a head that was resized with them."""
        rows = [self._trained_shape(name) or self._stored_shape(name) for name in (self._embedding, self._head)]
        if rows[0][:1] != rows[1][:1]:
            raise AdapterError(
                f"The embeddings have {rows[0][0]:,} rows and the head {rows[1][0]:,}.",
                "The adapter was saved without one of them; train again with both in adapter.modules_to_save.",
            )

    def _stored_shape(self, name: str) -> tuple[int, ...]:
        return (self._names.get(name) or self._names[self._embedding]).shape

    def _misfit(self, name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> AdapterError:
        folder = self._adapter.adapter.folder if self._adapter else ""
        return AdapterError(
            f"{folder} does not fit {self._base.facts.source}: {name} is {list(found)}, the base has {list(wanted)}.",
            "It was made for another base model; name that with --base-model.",
        )


def _path_of(base: BaseModel, kind: str, otherwise: str) -> str:
    return next((module.path for module in base.modules if module.kind == kind), otherwise)
