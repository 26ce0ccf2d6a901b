"""The tensors of an adapter folder, by what they do to the base model. Read from the file when they are asked for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tui_tuner.errors import AdapterError
from tui_tuner.families import ModelFamily
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.reading import WEIGHTS_FILE, read_adapter
from tui_tuner.planning.inheriting.tensor_names import PEFT_PREFIX

LORA_A, LORA_B, MAGNITUDE = ".lora_A.weight", ".lora_B.weight", ".lora_magnitude_vector"
ROWS_AT_ONCE = 64 * 2**20
"""Elements of a matrix that are merged at once, so that float32 copies stay small beside the matrix."""


@dataclass(frozen=True, slots=True)
class LoraParts:
    """What one module's adapter is made of, in float32. Shapes: R rank, I inputs, O outputs."""

    A_RI: Tensor
    B_OR: Tensor
    magnitude_O: Tensor | None
    """Of DoRA; None for LoRA and rsLoRA."""


@dataclass(frozen=True, slots=True)
class AdapterWeights:
    """An adapter on disk."""

    adapter: InheritedAdapter
    targets: tuple[str, ...]
    """Paths of the modules that carry a low-rank part."""
    whole: tuple[str, ...]
    """Names in the model of tensors that were trained as a whole: "lm_head.weight"."""

    @property
    def largest_rank(self) -> int:
        return max((one.rank for one in self.adapter.strengths.values()), default=self.adapter.rank)

    def scaling(self, path: str) -> float:
        """alpha / rank, or alpha / sqrt(rank) for rsLoRA (Kalajdzievski 2023), of one target."""
        own = self.adapter.strengths[path]
        return own.alpha / (math.sqrt(own.rank) if self.adapter.use_rslora else own.rank)

    def parts(self, path: str) -> LoraParts:
        """Read a target's matrices."""
        stored = f"{PEFT_PREFIX}{path}"
        magnitude = self._read(stored + MAGNITUDE).float().flatten() if self.adapter.use_dora else None
        return LoraParts(self._read(stored + LORA_A).float(), self._read(stored + LORA_B).float(), magnitude)

    def whole_tensor(self, name: str) -> Tensor:
        return self._read(PEFT_PREFIX + name)

    def whole_shape(self, name: str) -> tuple[int, ...]:
        return next(one.shape for one in self.adapter.tensors if one.name == PEFT_PREFIX + name)

    def check_finite(self) -> None:
        """Read every tensor once. Raises AdapterError naming the first one that holds NaN or infinite values."""
        for stored in self.adapter.tensors:
            if not torch.isfinite(self._read(stored.name)).all():
                raise AdapterError(
                    f"{self.adapter.folder}: {stored.name} holds NaN or infinite values.",
                    "The adapter is damaged; export another one, such as an earlier checkpoint.",
                )

    def _read(self, name: str) -> Tensor:
        """A tensor by the name that PEFT would give it, whatever it is called in the file."""
        path = self.adapter.folder / WEIGHTS_FILE
        try:
            with safe_open(path, framework="pt") as file:
                return file.get_tensor(self.adapter.stored_names[name])
        except (OSError, SafetensorError) as error:
            raise AdapterError(f"{path}: {name} cannot be read: {error}.") from error


def open_adapter(folder: Path, family: ModelFamily) -> AdapterWeights:
    """Sort an adapter's tensors by the names that they have in the loaded base of this family.

    Raises:
        AdapterError: it is no LoRA adapter that can be merged, or a tensor belongs to nothing that is known.
    """
    adapter = read_adapter(folder).on(family)
    names = [tensor.name for tensor in adapter.tensors]
    targets = [name.removesuffix(LORA_A).removeprefix(PEFT_PREFIX) for name in names if name.endswith(LORA_A)]
    endings = (LORA_A, LORA_B, *((MAGNITUDE,) if adapter.use_dora else ()))
    wanted = {f"{PEFT_PREFIX}{path}{ending}" for path in targets for ending in endings}
    whole = [name.removeprefix(PEFT_PREFIX) for name in names if name not in wanted]
    missing = sorted(wanted - set(names))
    strange = [name for name in whole if "lora_" in name or (".weight" not in name and ".bias" not in name)]
    if missing or strange:
        raise AdapterError(
            f"{folder / WEIGHTS_FILE} " + (f"lacks {missing[0]}." if missing else f"holds {strange[0]}, unknown here."),
            "Its two files do not belong together, or it uses what tuner cannot merge.",
        )
    return AdapterWeights(adapter, tuple(targets), tuple(whole))


def merged_rows(base_OI: Tensor, parts: LoraParts, scaling: float) -> Iterator[tuple[int, Tensor]]:
    """The merged matrix in blocks of rows, float32, each with the number of its first row.

    W + s B A; with DoRA each row is then rescaled to its magnitude: m (W + s B A) / |W + s B A|.
    """
    rows = max(1, ROWS_AT_ONCE // base_OI.shape[1])
    for start in range(0, base_OI.shape[0], rows):
        block = slice(start, start + rows)
        merged_OI = base_OI[block].float() + scaling * (parts.B_OR[block] @ parts.A_RI)
        if parts.magnitude_O is not None:
            norms_O = torch.linalg.vector_norm(merged_OI, dim=1)
            merged_OI *= (parts.magnitude_O[block] / norms_O).unsqueeze(1)
        yield start, merged_OI
