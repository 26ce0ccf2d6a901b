"""Tables of rotary positions, from the model's own rotary module: whatever scaling it knows, we know."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tui_tuner.kernels.rope import Rotation
from tui_tuner.kernels.rope_tables import Tables

CHANGING = ("dynamic", "longrope")
"""Scalings whose frequencies depend on the length of the batch, once it is longer than the model was trained for."""
STEP = 1024
"""Tables grow by so many positions."""


@dataclass(slots=True)
class Rotations:
    """The tables of one model; made when they are first asked for, and again when a batch is longer."""

    module: nn.Module
    kinds: tuple[str | None, ...]
    """What the module calls them: (None,), or the kinds of layers that turn by different angles."""
    device: torch.device
    trained_length: int
    is_interleaved: bool = False
    moves: int = 0
    """How often the tables were made."""
    _positions: int = 0
    _tables: tuple[Tables, ...] = field(default=())

    def at(self, positions: Tensor, length: int) -> tuple[Rotation, ...]:
        """positions [T], all below `length`, which the host knows."""
        wanted = self._needed(length)
        if self._positions < wanted or (self._changes and self._positions != wanted):
            self._tables = tuple(self._made(kind, wanted) for kind in self.kinds)
            self._positions = wanted
            self.moves += 1
        return tuple(Rotation(tables, positions, self.is_interleaved) for tables in self._tables)

    @property
    def _changes(self) -> bool:
        types = self.module.rope_type
        return any(one in CHANGING for one in (types.values() if isinstance(types, dict) else (types,)))

    def _needed(self, length: int) -> int:
        if not self._changes:
            return -(-length // STEP) * STEP
        return length if length > self.trained_length else self.trained_length

    def _made(self, kind: str | None, positions: int) -> Tables:
        places = torch.arange(positions, device=self.device)[None]
        like = torch.empty(0, dtype=torch.float32, device=self.device)
        with torch.inference_mode(False):
            cos, sin = self.module(like, places) if kind is None else self.module(like, places, kind)
        # Each angle is there twice: side by side, or half a head apart.
        half = cos.shape[-1] // 2
        once = slice(None, None, 2) if self.is_interleaved else slice(half)
        return Tables(cos[0, :, once].contiguous(), sin[0, :, once].contiguous())
