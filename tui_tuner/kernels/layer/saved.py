"""What a layer leaves for its backward pass, and the pinned host memory where some of it may wait."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tui_tuner.kernels.lora_layout import Extended


@dataclass(slots=True, kw_only=True)
class Saved:
    """Tensors of one layer and micro-batch. None is what the policy does not keep, or what waits on the host."""

    x: Tensor | None
    """[T, hidden], the layer's input."""
    attended: Tensor | None
    """[T, queries]."""
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


class HostMemory:
    """Copies on the host, in buffers that are made once; copies travel on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._buffers: dict[tuple[int, int], Tensor] = {}
        self._shapes: dict[int, list[tuple[torch.Size, torch.dtype]]] = {}
        self._arriving: dict[int, tuple[list[Tensor], torch.cuda.Event | None]] = {}

    def send(self, layer: int, tensors: Sequence[Tensor]) -> None:
        """Begin to copy; the tensors may be let go of at once."""
        self._arriving.pop(layer, None)
        self._shapes[layer] = [(tensor.shape, tensor.dtype) for tensor in tensors]
        targets = [self._buffer(layer, index, tensor) for index, tensor in enumerate(tensors)]
        if self._stream is None:
            for target, tensor in zip(targets, tensors, strict=True):
                target.copy_(tensor)
            return
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for target, tensor in zip(targets, tensors, strict=True):
                target.copy_(tensor, non_blocking=True)
                tensor.record_stream(self._stream)

    def prefetch(self, layer: int) -> None:
        """Begin to copy back what a layer sent, if it did and this has not begun yet."""
        if layer in self._arriving or layer not in self._shapes:
            return
        arriving = [torch.empty(shape, dtype=dtype, device=self._device) for shape, dtype in self._shapes.pop(layer)]
        sources = [self._buffers[layer, index][: one.numel()].view(one.shape) for index, one in enumerate(arriving)]
        if self._stream is None:
            for target, source in zip(arriving, sources, strict=True):
                target.copy_(source)
            self._arriving[layer] = arriving, None
            return
        # The new tensors' memory may still be in use by what was launched before.
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            for target, source in zip(arriving, sources, strict=True):
                target.copy_(source, non_blocking=True)
        self._arriving[layer] = arriving, self._stream.record_event()

    def receive(self, layer: int) -> list[Tensor]:
        """What a layer sent, on the device; the device waits for it, the host does not."""
        self.prefetch(layer)
        tensors, event = self._arriving.pop(layer)
        if event is not None:
            torch.cuda.current_stream(self._device).wait_event(event)
        return tensors

    def _buffer(self, layer: int, index: int, tensor: Tensor) -> Tensor:
        buffer = self._buffers.get((layer, index))
        if buffer is None or buffer.numel() < tensor.numel() or buffer.dtype != tensor.dtype:
            pinned = self._stream is not None
            buffer = torch.empty(tensor.numel(), dtype=tensor.dtype, pin_memory=pinned)
            self._buffers[layer, index] = buffer
        return buffer[: tensor.numel()].view(tensor.shape)
