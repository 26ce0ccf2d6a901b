"""What a layer leaves for its backward pass, and the pinned host memory where some of it may wait."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels.layer.plain import Masks
from tui_tuner.kernels.lora.layout import Extended


@dataclass(slots=True, kw_only=True)
class Saved:
    """Tensors of one layer and micro-batch. None is what the policy does not keep, or what waits on the host."""

    x: Tensor | None
    """[T, hidden], the layer's input."""
    attended: Tensor | None
    """[T, queries]; without it there is no `state`."""
    ranks: Tensor | None
    """[T, sum of the ranks]: x A^T of all products, side by side as `Layer.ranks` says."""
    state: tuple[Tensor, ...]
    """What attention asks for beside it."""
    input_rstd: Tensor
    middle_rstd: Tensor
    qkv: Extended | None = None
    """[T, queries + 2 keys], q and k turned unless they have norms of their own; with room for the ranks of dy."""
    middle: Tensor | None = None
    """[T, hidden], the residual after attention."""
    gate_up: Extended | None = None
    """[T, 2 intermediate], with room for the ranks of dy."""
    attention_output: Tensor | None = None
    """[T, hidden] before the norm that follows it, where the family has one."""
    attention_rstd: Tensor | None = None
    mlp_output: Tensor | None = None
    mlp_rstd: Tensor | None = None
    masks: Masks | None = None
    """Of dropout, made again from their seed."""
    on_host: tuple[str, ...] = ()
    """Fields that wait there."""

    def rows(self, rows: slice) -> "Saved":
        """Views of some tokens; the state of attention is not theirs."""
        fields = {name: getattr(self, name) for name in Saved.__slots__ if name not in ("state", "on_host")}
        cut = {name: None if value is None else _rows_of(value, rows) for name, value in fields.items()}
        return Saved(state=(), **cut)  # type: ignore[arg-type]


def _rows_of(value: Tensor | Extended | Masks, rows: slice) -> Tensor | Extended | Masks:
    return value[rows] if isinstance(value, Tensor) else value.rows(rows)


ON_THE_WAY = 1
"""Layers whose copies to the host may be under way; their device memory is given back when those have arrived. A copy
has all the time that the next layer takes."""


SMALLEST_PIECE = 2**20


class HostMemory:
    """Copies on the host, in buffers that are made once; copies travel on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.moves = 0
        """How often a buffer was made anew: what a CUDA graph recorded before is no longer true then."""
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._buffers: dict[tuple[int, int], PiecedBuffer] = {}
        self._shapes: dict[int, list[tuple[torch.Size, torch.dtype]]] = {}
        self._leaving: deque[tuple[Sequence[Tensor], torch.cuda.Event]] = deque()
        self._arriving: dict[int, tuple[list[Tensor], torch.cuda.Event | None]] = {}

    def send(self, layer: int, tensors: Sequence[Tensor]) -> None:
        """Begin to copy; the tensors may be let go of at once."""
        self._arriving.pop(layer, None)
        self._shapes[layer] = [(tensor.shape, tensor.dtype) for tensor in tensors]
        if self._stream is not None:
            # First: a buffer that grows is let go of, and a replayed step may still be reading it.
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        targets = [self._buffer(layer, index, tensor) for index, tensor in enumerate(tensors)]
        if self._stream is None:
            for target, tensor in zip(targets, tensors, strict=True):
                target.take(tensor)
            return
        with torch.cuda.stream(self._stream):
            for target, tensor in zip(targets, tensors, strict=True):
                target.take(tensor)
        self._leaving.append((tensors, self._stream.record_event()))
        self._settle(ON_THE_WAY)

    def _settle(self, most: int) -> None:
        """Let go of the oldest tensors on their way, after the device has waited for their copies.

        Not by `record_stream`: memory that is given back when the host happens to ask is never there when it is needed.
        """
        while len(self._leaving) > most:
            _, event = self._leaving.popleft()
            torch.cuda.current_stream(self._device).wait_event(event)

    def arrive(self) -> None:
        """Let go of all tensors on their way, after the device has waited for their copies."""
        self._settle(0)

    def prefetch(self, layer: int) -> None:
        """Begin to copy back what a layer sent, if it did and this has not begun yet."""
        if layer in self._arriving or layer not in self._shapes:
            return
        self.arrive()
        arriving = [torch.empty(shape, dtype=dtype, device=self._device) for shape, dtype in self._shapes.pop(layer)]
        sources = [self._buffers[layer, index] for index, _ in enumerate(arriving)]
        if self._stream is None:
            for target, source in zip(arriving, sources, strict=True):
                source.give(target)
            self._arriving[layer] = arriving, None
            return
        # The new tensors' memory may still be in use by what was launched before.
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for target, source in zip(arriving, sources, strict=True):
                source.give(target)
        self._arriving[layer] = arriving, self._stream.record_event()

    def receive(self, layer: int) -> list[Tensor]:
        """What a layer sent, on the device; the device waits for it, the host does not."""
        self.prefetch(layer)
        tensors, event = self._arriving.pop(layer)
        if event is not None:
            torch.cuda.current_stream(self._device).wait_event(event)
        return tensors

    def release(self) -> None:
        """Let go of everything that is on its way, as after a pass that failed; waits for the device."""
        if self._stream is not None:
            self._stream.synchronize()
        self._leaving.clear()
        self._arriving.clear()
        self._shapes.clear()

    def abandon(self) -> None:
        """The same where the host must not wait, as while a step is recorded: the device waits for all copies."""
        self.arrive()
        for _, event in self._arriving.values():
            if event is not None:
                torch.cuda.current_stream(self._device).wait_event(event)
        self._arriving.clear()
        self._shapes.clear()

    @property
    def waiting_bytes(self) -> int:
        """Of the tensors that wait here now."""
        return sum(shape.numel() * dtype.itemsize for sent in self._shapes.values() for shape, dtype in sent)

    def _buffer(self, layer: int, index: int, tensor: Tensor) -> "PiecedBuffer":
        buffer = self._buffers.get((layer, index))
        if buffer is None or buffer.num_bytes < tensor.nbytes:
            # The old one goes first: there may not be room for both.
            self.moves += self._buffers.pop((layer, index), None) is not None
            buffer = PiecedBuffer(tensor.nbytes, is_pinned=self._stream is not None)
            self._buffers[layer, index] = buffer
        return buffer


class PiecedBuffer:
    """Host memory in pieces of a power of two bytes: torch rounds each pinned allocation up to one, so that a long
    context in one piece could take twice its bytes.
    """

    def __init__(self, num_bytes: int, *, is_pinned: bool) -> None:
        sizes = piece_sizes(num_bytes)
        self._pieces = [torch.empty(size, dtype=torch.uint8, pin_memory=is_pinned) for size in sizes]

    @property
    def num_bytes(self) -> int:
        return sum(piece.numel() for piece in self._pieces)

    def take(self, tensor: Tensor) -> None:
        """Copy a contiguous tensor here, on the current stream where it is on a GPU."""
        for piece, part in self._pairs(tensor):
            piece.copy_(part, non_blocking=True)

    def give(self, tensor: Tensor) -> None:
        """Copy back what was taken from a tensor of this size."""
        for piece, part in self._pairs(tensor):
            part.copy_(piece, non_blocking=True)

    def _pairs(self, tensor: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        left = tensor.view(-1).view(torch.uint8)
        for piece in self._pieces:
            part, left = left[: piece.numel()], left[piece.numel() :]
            if part.numel():
                yield piece[: part.numel()], part


def piece_sizes(num_bytes: int) -> list[int]:
    """Powers of two, the largest first, whose sum is `num_bytes` or up to SMALLEST_PIECE more."""
    units = max(1, -(-num_bytes // SMALLEST_PIECE))
    return [SMALLEST_PIECE << bit for bit in reversed(range(units.bit_length())) if units >> bit & 1]
