"""Reads a GGUF file back and compares every tensor with what it was made from, within what its type can hold."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType
from gguf.quants import dequantize

from tui_tuner.engine.exporting.gguf_files.reading import read_tensors
from tui_tuner.engine.exporting.gguf_files.tensors import FloatArray, GgufTensor
from tui_tuner.engine.exporting.gguf_files.writing import GgufLayout
from tui_tuner.engine.exporting.model_weights import ModelWeights

BLOCK = 32
BOUNDS = {
    GGMLQuantizationType.F32: 0.0,
    GGMLQuantizationType.F16: 2.0**-11,
    GGMLQuantizationType.BF16: 2.0**-8,
    GGMLQuantizationType.Q8_0: 0.5 / 127 + 2.0**-10,
}
"""Largest error: of a number beside itself; for q8_0 beside the largest of its block, whose scale is a float16."""
SMALLEST_HALF = 2.0**-24


@dataclass(slots=True)
class GgufCheck:
    """What was found."""

    num_tensors: int = 0
    wrong: list[str] = field(default_factory=list)
    largest_error: float = 0.0
    """Of a number beside the largest of its tensor."""


def check_gguf(path: Path, layout: GgufLayout, weights: ModelWeights, check: GgufCheck) -> Iterator[int]:
    """Compare tensor by tensor, adding to what was found; yields how many are done."""
    stored = read_tensors(path)
    expected = {tensor.name for tensor in layout.tensors} | layout.tables.keys()
    check.wrong += sorted(expected.symmetric_difference(stored))
    for done, tensor in enumerate(layout.tensors, start=1):
        if tensor.name in stored:
            values = tensor.values(weights.read(tensor.source))
            found = dequantize(stored[tensor.name].data(path), stored[tensor.name].stored).reshape(values.shape)
            _compare(tensor, values, found, check)
        yield done


def _compare(tensor: GgufTensor, values: FloatArray, found: FloatArray, check: GgufCheck) -> None:
    check.num_tensors += 1
    errors = np.abs(found - values)
    limits = np.abs(values)
    if tensor.stored == GGMLQuantizationType.Q8_0:
        blocks = limits.reshape(-1, BLOCK)
        limits = np.broadcast_to(blocks.max(axis=1, keepdims=True), blocks.shape).reshape(values.shape)
    if not (errors <= BOUNDS[tensor.stored] * limits + SMALLEST_HALF).all():
        check.wrong.append(tensor.name)
    largest = float(np.abs(values).max(initial=0.0))
    if largest:
        check.largest_error = max(check.largest_error, float(errors.max()) / largest)
