"""Temporary buffers by purpose, shared by all layers of a model: their addresses stay once the largest batch was seen.

A layer leaves nothing there that another may not overwrite. Nothing here waits for the device.
"""

from math import prod

import torch
from torch import Tensor

from tui_tuner.kernels.lora_layout import Extended, LoraLayout, LoraWeight


class Workspace:
    """Buffers that grow to the largest size asked for."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self.moves = 0
        """How often an address changed: what a CUDA graph recorded before is no longer true then."""
        self._buffers: dict[str, Tensor] = {}

    def matrix(self, purpose: str, rows: int, columns: int) -> Tensor:
        """[rows, columns], holding whatever was written last under this purpose."""
        size = prod((rows, columns))
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.numel() < size:
            self.moves += self._buffers.pop(purpose, None) is not None
            # A buffer made while evaluating could not be written to in training.
            with torch.inference_mode(False):
                buffer = torch.empty(size, dtype=self.dtype, device=self.device)
            self._buffers[purpose] = buffer
        return buffer[:size].view(rows, columns)

    def extended(self, purpose: str, tokens: int, features: int, ranks: int) -> Extended:
        """[tokens, features] with room for ranks beside it."""
        return Extended.of(self.matrix(purpose, tokens, features + ranks), features)

    def weight(self, purpose: str, layout: LoraLayout, bias: Tensor | None) -> LoraWeight:
        """Room for a weight that is dequantised; the corner that no product reads is not cleared."""
        ranks = layout.padded_rank
        return LoraWeight(layout, self.matrix(purpose, layout.out_features + ranks, layout.in_features + ranks), bias)

    @property
    def num_bytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def release(self) -> None:
        """Give everything back, as before a long generation; the next call makes it anew."""
        self.moves += 1
        self._buffers.clear()
