"""A whole model's tensors as an export writes them: read from the base's files one at a time, with the adapter added.

Shapes: O outputs, I inputs.
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tui_tuner.engine.exporting.adapter_weights import AdapterWeights, merged_rows
from tui_tuner.engine.exporting.held_weights import through
from tui_tuner.engine.exporting.nf4_weights import STORED_PARTS, from_stored
from tui_tuner.engine.exporting.tensor_files import TORCH_TYPES, TensorEntry
from tui_tuner.engine.exporting.weight_layout import WEIGHT, WeightLayout
from tui_tuner.errors import ModelError
from tui_tuner.exports import HeldIn, MergeBase
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.planning.safetensors_header import StoredTensor
from tui_tuner.planning.weights import loaded_name, read_weights


@dataclass(slots=True)
class MergeTally:
    """What merging did, added up while tensors are read."""

    num_changed: int = 0
    unchanged: list[str] = field(default_factory=list)
    wanted_squares: float = 0.0
    lost_squares: float = 0.0
    """Of the change that the output's type could not hold."""

    @property
    def kept_share(self) -> float:
        """How much of the change is left after rounding, 0 to 1."""
        return 1.0 - (self.lost_squares / self.wanted_squares) ** 0.5 if self.wanted_squares else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelWeights:
    """The tensors of the model that is exported, by their names in the files."""

    folder: Path
    """Of the base model."""
    files: tuple[tuple[str, tuple[TensorEntry, ...]], ...]
    """Names of the files with what each will hold: those of the base."""
    sources: dict[str, StoredTensor]
    """Where the base has a tensor; a head that was tied is read where the embeddings are."""
    module_names: dict[str, str]
    """Name in the file -> name in the loaded model."""
    adapter: AdapterWeights | None
    base: MergeBase
    quantised: frozenset[str]
    """Names of tensors that were in fewer bits while training."""
    held_in: HeldIn
    """Those bits."""
    compute_dtype: torch.dtype
    device: torch.device
    """Where bits are taken away."""
    is_tied: bool
    vocab_size: int

    @property
    def entries(self) -> tuple[TensorEntry, ...]:
        return tuple(entry for _, entries in self.files for entry in entries)

    @property
    def num_bytes(self) -> int:
        return sum(entry.num_bytes for entry in self.entries)

    def read(self, name: str, tally: MergeTally | None = None) -> Tensor:
        """One tensor, with the adapter in it, in the type that its entry says."""
        entry = next(one for one in self.entries if one.name == name)
        dtype = TORCH_TYPES[entry.dtype]
        module_name = self.module_names[name]
        if self.adapter is not None and module_name in self.adapter.whole:
            trained = self.adapter.whole_tensor(module_name)
            if tally is not None:
                self._count_whole(name, trained, dtype, tally)
            return trained.to(dtype)
        base_OI = self.base_tensor(name)
        path = module_name.removesuffix(WEIGHT)
        if self.adapter is None or path not in self.adapter.targets:
            return base_OI.to(dtype)
        return self._merged(path, base_OI, dtype, tally)

    def base_tensor(self, name: str) -> Tensor:
        """The base's tensor: as published, or as it was in training where that is asked for."""
        stored = self.sources[name]
        tensor = _read(self.folder / stored.file, stored.name)
        if not tensor.is_floating_point() and tensor.dtype == torch.uint8:
            return from_stored(tensor, self._stored_parts(stored), self.device)
        if self.base == "dequantised" and tensor.is_floating_point():
            if name in self.quantised:
                return through(self.held_in, tensor, self.compute_dtype, self.device)
            return tensor.to(self.compute_dtype)
        return tensor

    def _stored_parts(self, stored: StoredTensor) -> dict[str, Tensor]:
        path = self.folder / stored.file
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
        return {part: _read(path, f"{stored.name}.{part}") for part in STORED_PARTS if f"{stored.name}.{part}" in names}

    def _merged(self, path: str, base_OI: Tensor, dtype: torch.dtype, tally: MergeTally | None) -> Tensor:
        assert self.adapter is not None
        merged_OI = torch.empty(base_OI.shape, dtype=dtype)
        is_changed = False
        for start, rows in merged_rows(base_OI, self.adapter.parts(path), self.adapter.scaling(path)):
            block = slice(start, start + len(rows))
            merged_OI[block] = rows.to(dtype)
            if tally is not None:
                before = base_OI[block].float()
                tally.wanted_squares += (rows - before).square().sum().item()
                tally.lost_squares += (rows - merged_OI[block].float()).square().sum().item()
                is_changed = is_changed or not torch.equal(merged_OI[block], base_OI[block].to(dtype))
        if tally is not None:
            _count(f"{path}{WEIGHT}", is_changed, tally)
        return merged_OI

    def _count_whole(self, name: str, trained: Tensor, dtype: torch.dtype, tally: MergeTally) -> None:
        before = self.base_tensor(name).to(dtype)
        after = trained.to(dtype)
        is_changed = before.shape != after.shape or not torch.equal(before, after)
        if before.shape == after.shape:
            tally.wanted_squares += (trained.float() - before.float()).square().sum().item()
            tally.lost_squares += (trained.float() - after.float()).square().sum().item()
        _count(name, is_changed, tally)


def model_weights(
    base: BaseModel,
    folder: Path,
    adapter: AdapterWeights | None,
    mode: MergeBase = "16bit",
    compute_dtype: torch.dtype = torch.bfloat16,
    device: torch.device = torch.device("cpu"),  # noqa: B008 - a constant
    held_in: HeldIn = "nf4",
) -> ModelWeights:
    """Lay out what an export of this base with this adapter holds. Reads headers only.

    Raises:
        ModelError: the base's files are not whole.
        AdapterError: the adapter names tensors that the base does not have, or of another shape.
    """
    stored = [one for one in read_weights(folder).tensors if not one.name.endswith(STORED_PARTS)]
    names = {loaded_name(one.name, base.family): one for one in stored}
    layout = WeightLayout(base, names, adapter, mode, compute_dtype)
    files: dict[str, list[TensorEntry]] = {}
    for module_name, tensor in layout.tensors():
        files.setdefault(tensor.file, []).append(layout.entry(module_name, tensor))
    return ModelWeights(
        folder=folder,
        files=tuple((file, tuple(entries)) for file, entries in files.items()),
        sources={layout.stored_name(module_name, one): one for module_name, one in layout.tensors()},
        module_names={layout.stored_name(module_name, one): module_name for module_name, one in layout.tensors()},
        adapter=adapter,
        base=mode,
        quantised=frozenset(layout.quantised()),
        held_in=held_in,
        compute_dtype=compute_dtype,
        device=device,
        is_tied=layout.is_tied,
        vocab_size=layout.vocab_size,
    )


def _count(name: str, is_changed: bool, tally: MergeTally) -> None:
    tally.num_changed += is_changed
    if not is_changed:
        tally.unchanged.append(name)


def _read(path: Path, name: str) -> Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            return file.get_tensor(name)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: {name} cannot be read: {error}.", "Download the model again.") from error
