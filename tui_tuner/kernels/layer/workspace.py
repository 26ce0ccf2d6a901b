"""Temporary buffers by purpose, shared by all layers of a model: their addresses stay once the largest batch was seen.

A layer leaves nothing there that another may not overwrite. Nothing here waits for the device.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import torch
from torch import Tensor

from tui_tuner.kernels.fp8_rows import DTYPE, Fp8Rows
from tui_tuner.kernels.lora.layout import Extended, LoraLayout, LoraWeight

PASS_TOKENS = 8192
"""Enough for products to run at their full rate: half of it costs 1.5 % of a step at 8B."""
EVEN = 128
"""Rows of a pass are a multiple of it: products work in such tiles."""


class Workspace:
    """Buffers that grow to the largest size asked for."""

    def __init__(
        self, dtype: torch.dtype, device: torch.device, pass_tokens: int = PASS_TOKENS, *, lends: bool = False
    ) -> None:
        self.dtype, self.device = dtype, device
        self.lends = lends
        """Whether addresses may change, as they may where no step is recorded as a CUDA graph."""
        self.pass_tokens = pass_tokens
        """At most so many tokens go at once through what does not mix tokens: all but attention."""
        self.moves = 0
        """How often an address changed: what a CUDA graph recorded before is no longer true then."""
        self._buffers: dict[str, Tensor] = {}

    def passes(self, tokens: int) -> Iterator[slice]:
        """Rows of each pass, of about equal size."""
        tile = min(EVEN, self.pass_tokens)
        size = -(-tokens // -(-tokens // self.pass_tokens) // tile) * tile
        for start in range(0, tokens, size):
            yield slice(start, min(start + size, tokens))

    def matrix(self, purpose: str, rows: int, columns: int) -> Tensor:
        """[rows, columns], holding whatever was written last under this purpose."""
        size = prod((rows, columns))
        buffer = self._buffers.get(purpose)
        if buffer is None or buffer.numel() < size:
            self.moves += self._buffers.pop(purpose, None) is not None
            buffer = self._buffers[purpose] = self._empty(size)
        return buffer[:size].view(rows, columns)

    @contextmanager
    def lent(self, purpose: str) -> Iterator[None]:
        """Leave the memory of an idle buffer to what is made meanwhile, which must be gone at the end."""
        buffer = self._buffers.pop(purpose, None) if self.lends else None
        size = 0 if buffer is None else buffer.numel()
        del buffer
        yield
        if size:
            self._buffers[purpose] = self._empty(size)

    def give_back(self, *purposes: str) -> None:
        """Buffers that nobody reads before they are written to again, which makes them anew."""
        for purpose in purposes if self.lends else ():
            self._buffers.pop(purpose, None)

    def _empty(self, size: int) -> Tensor:
        # A buffer made while evaluating could not be written to in training.
        with torch.inference_mode(False):
            return torch.empty(size, dtype=self.dtype, device=self.device)

    def extended(self, purpose: str, tokens: int, features: int, ranks: int, *, apart: bool = False) -> Extended:
        """[tokens, features] with room for ranks beside it, or in a buffer of their own."""
        if apart:
            return Extended(self.matrix(purpose, tokens, features), self.matrix(f"{purpose} ranks", tokens, ranks))
        return Extended.of(self.matrix(purpose, tokens, features + ranks), features)

    def eight(self, purpose: str, tokens: int, features: int) -> Fp8Rows:
        """[tokens, features] in 8 bits; the features fill whole elements of the other buffers."""
        values = self.matrix(f"{purpose} in 8 bits", tokens, features // self.dtype.itemsize).view(DTYPE)
        scales = self.matrix(f"{purpose} scales", tokens, 4 // self.dtype.itemsize).view(torch.float32)
        return Fp8Rows(values, scales)

    def weight(self, purpose: str, layout: LoraLayout, bias: Tensor | None) -> LoraWeight:
        """Room for a weight that is dequantised; the corner that no product reads is not cleared."""
        ranks = layout.padded_rank
        return LoraWeight(layout, self.matrix(purpose, layout.out_features + ranks, layout.in_features + ranks), bias)

    def idle(self, purpose: str) -> Tensor | None:
        """A buffer as it lies there, for what happens between two layers; None where there is none yet."""
        return self._buffers.get(purpose)

    @property
    def num_bytes(self) -> int:
        return sum(buffer.nbytes for buffer in self._buffers.values())

    def release(self) -> None:
        """Give everything back, as before a long generation; the next call makes it anew."""
        self.moves += 1
        self._buffers.clear()
