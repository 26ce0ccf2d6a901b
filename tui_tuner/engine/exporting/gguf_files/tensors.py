"""A model's tensors as llama.cpp wants them: names, order of rows, type on disk. Shapes: O outputs, I inputs."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from gguf import MODEL_ARCH_NAMES, GGMLQuantizationType, TensorNameMap, get_tensor_name_map
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import quantize
from torch import Tensor

from tui_tuner.engine.exporting.gguf_files.families import GgufFamily
from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.errors import ModelError

Array = np.ndarray[Any, np.dtype[Any]]
FloatArray = np.ndarray[Any, np.dtype[np.float32]]
TYPES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "bf16": GGMLQuantizationType.BF16,
    "q8_0": GGMLQuantizationType.Q8_0,
}
ROWS_AT_ONCE = 16 * 2**20
"""Elements that are turned into float32 at once."""
TEXT_PREFIXES = ("model.language_model.", "language_model.model.")
"""Where the text part of a model with images keeps its tensors."""


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of the file."""

    name: str
    source: str
    """Name in the base's files."""
    shape: tuple[int, ...]
    stored: GGMLQuantizationType
    heads: int
    """Of how many heads the rows are to be interleaved; 0 for none."""
    offset: float

    @property
    def num_bytes(self) -> int:
        block, size = GGML_QUANT_SIZES[self.stored]
        return prod(self.shape) // block * size

    @property
    def stored_shape(self) -> tuple[int, ...]:
        """In the elements of the array that is written: bytes where the type is packed."""
        if self.stored in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
            return self.shape
        block, size = GGML_QUANT_SIZES[self.stored]
        return (*self.shape[:-1], self.shape[-1] // block * size)

    def values(self, tensor: Tensor) -> FloatArray:
        """What the file stands for, in float32, of a tensor as transformers has it."""
        values: FloatArray = tensor.float().numpy()
        if self.heads:
            values = interleaved(values, self.heads)
        return values + np.float32(self.offset) if self.offset else values

    def packed(self, tensor: Tensor) -> Array:
        """The array that is written."""
        rows = max(1, ROWS_AT_ONCE // self.shape[-1])
        if self.heads or tensor.ndim == 1 or len(tensor) <= rows:
            return _packed(self.values(tensor), self)
        pieces = [_packed(self.values(tensor[start : start + rows]), self) for start in range(0, len(tensor), rows)]
        return np.concatenate(pieces)


def gguf_tensors(weights: ModelWeights, config: Any, family: GgufFamily, kind: str) -> tuple[GgufTensor, ...]:
    """Everything of the text model, in the order of the base's files.

    Raises:
        ModelError: a tensor has no place in the architecture.
    """
    names = get_tensor_name_map(family.arch, config.num_hidden_layers)
    return tuple(_tensors(weights, config, family, names, TYPES[kind]))


def interleaved(values: FloatArray, heads: int) -> FloatArray:
    """Rows of q or k: from halves of each head, as transformers rotates them, to neighbouring pairs."""
    split = values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2)).reshape(values.shape)


def _tensors(
    weights: ModelWeights, config: Any, family: GgufFamily, names: TensorNameMap, wanted: GGMLQuantizationType
) -> Iterator[GgufTensor]:
    if not weights.is_tied and not family.can_untie:
        raise ModelError(
            f"In llama.cpp's {MODEL_ARCH_NAMES[family.arch]} embeddings and head are one matrix; here they differ.",
            "Train without embeddings and head in adapter.modules_to_save, or export as merged.",
        )
    for entry in weights.entries:
        module_name = text_name(weights.module_names[entry.name])
        if module_name.endswith(".rotary_emb.inv_freq"):
            continue
        name = names.get_name(module_name, (".weight", ".bias"))
        if name is None:
            if "vision" in module_name or "multi_modal_projector" in module_name:
                continue
            raise ModelError(f"{module_name} has no place in a GGUF of this architecture.", "Export it as merged.")
        is_norm = "norm" in module_name.split(".")[-2]
        yield GgufTensor(
            name=name,
            source=entry.name,
            shape=entry.shape,
            stored=_stored_type(entry.shape, wanted, is_norm),
            heads=interleaved_heads(module_name, config, family),
            offset=family.norm_offset if is_norm and module_name.endswith(".weight") else 0.0,
        )


def text_name(module_name: str) -> str:
    """The name that the text model alone would use."""
    for prefix in TEXT_PREFIXES:
        if module_name.startswith(prefix):
            return f"model.{module_name.removeprefix(prefix)}"
    return module_name


def interleaved_heads(module_name: str, config: Any, family: GgufFamily) -> int:
    if not family.interleaves_heads:
        return 0
    if ".self_attn.q_proj." in module_name:
        return int(config.num_attention_heads)
    if ".self_attn.k_proj." in module_name:
        return int(getattr(config, "num_key_value_heads", None) or config.num_attention_heads)
    return 0


def _stored_type(shape: tuple[int, ...], wanted: GGMLQuantizationType, is_norm: bool) -> GGMLQuantizationType:
    """Vectors and norms stay in float32, as llama.cpp computes with them; rows that split in no blocks in 16 bits."""
    if len(shape) == 1 or is_norm:
        return GGMLQuantizationType.F32
    block, _ = GGML_QUANT_SIZES[wanted]
    return wanted if shape[-1] % block == 0 else GGMLQuantizationType.F16


def _packed(values: FloatArray, tensor: GgufTensor) -> Array:
    if tensor.stored == GGMLQuantizationType.F32:
        return np.ascontiguousarray(values, dtype=np.float32)
    if tensor.stored == GGMLQuantizationType.F16:
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.isfinite(halves).all():
            raise ModelError(f"{tensor.source} holds values beyond float16.", "Use --quantization bf16 or f32.")
        return halves
    return quantize(values, tensor.stored)
