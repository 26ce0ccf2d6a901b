"""Modules whose adapters are computed beside the joined products: those with dropout, and DoRA."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.engine.acceleration.flattening import WorkingCopy
from tui_tuner.engine.lora import LoraLinear, dense_weight
from tui_tuner.kernels.layer.parts import PlainAdapter
from tui_tuner.kernels.lora.plain import PlainGradients, row_squares


@dataclass(frozen=True, slots=True)
class PlainModule:
    """One of them, with its working copies; the gradients have no place yet."""

    path: str
    module: LoraLinear
    rows: slice
    """Of the module, among the joined outputs."""
    a: Tensor
    b: Tensor
    stream: int
    squares: Tensor | None

    @property
    def copies(self) -> Iterator[tuple[str, WorkingCopy]]:
        yield f"{self.path}.lora_A", WorkingCopy(self.a)
        yield f"{self.path}.lora_B", WorkingCopy(self.b)

    def placed(self) -> PlainAdapter:
        """Ready for use: parameters and gradients are views of the flat buffers by now."""
        module, vector = self.module, self.module.lora_magnitude_vector
        gradients = PlainGradients(
            _gradient(module.lora_A), _gradient(module.lora_B), None if vector is None else _gradient(vector)
        )
        magnitude = None if vector is None else vector.detach()
        return PlainAdapter(
            self.rows, self.a, self.b, module.scaling, module.dropout, self.stream, gradients, magnitude, self.squares
        )


def is_plain(module: LoraLinear) -> bool:
    """Whether the joined product cannot hold its adapter."""
    return module.dropout > 0.0 or module.lora_magnitude_vector is not None


def plain_module(path: str, module: LoraLinear, rows: slice, dtype: torch.dtype, stream: int) -> PlainModule:
    """rows: of the module, among the joined outputs. stream: number of its masks."""
    a, b = (torch.empty_like(matrix.data, dtype=dtype) for matrix in (module.lora_A, module.lora_B))
    squares = None
    if module.lora_magnitude_vector is not None:
        squares = row_squares(dense_weight(module.weight, module.weight_scales).detach())
    return PlainModule(path, module, rows, a, b, stream, squares)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
