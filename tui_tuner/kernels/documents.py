"""Which tokens belong together: the documents of a micro-batch, laid one after the other on one axis of T tokens.

Everything that a kernel asks is a tensor of fixed size on the device; nothing here reads one back. A batch padded on
the right needs no mask: attention is causal, so that no real token sees the padding after it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Documents:
    boundaries: Tensor
    """[N + 1] int32: where each document begins, and T. Unused places at the end hold T."""
    first: Tensor
    """[T] int32: the first token of each token's document."""
    end: Tensor
    """[T] int32: one past the last token of each token's document."""
    max_length: int
    """No document is longer; known on the host."""
    rows: int | None = None
    """Number of documents where all have `max_length` tokens (a plain batch); None for a pack."""

    @property
    def tokens(self) -> int:
        return self.first.shape[0]

    def refill(self, others: "Documents") -> None:
        """Takes over documents of the same sizes into these tensors, which a captured graph reads from."""
        for mine, theirs in ((self.boundaries, others.boundaries), (self.first, others.first), (self.end, others.end)):
            mine.copy_(theirs, non_blocking=True)


def batch_of(rows: int, length: int, device: torch.device) -> Documents:
    """A plain batch: `rows` documents of `length` tokens each."""
    boundaries = torch.arange(0, (rows + 1) * length, length, dtype=torch.int32, device=device)
    first = boundaries[:-1].repeat_interleave(length)
    return Documents(boundaries, first, first + length, length, rows)


def pack_of(
    lengths: Sequence[int],
    tokens: int,
    device: torch.device,
    *,
    slots: int | None = None,
    max_length: int | None = None,
) -> Documents:
    """A pack of T = `tokens`; what `lengths` leave over at the end counts as a document of its own.

    slots: number of documents that there is room for, where shapes must not depend on the pack.
    max_length: a bound that must not depend on the pack either; by default the longest document.

    Raises:
        ValueError: the lengths do not fit into `tokens` or `slots`, or one is longer than `max_length`.
    """
    sizes = [length for length in (*lengths, tokens - sum(lengths)) if length]
    longest = max(sizes, default=0)
    slots, max_length = len(sizes) if slots is None else slots, longest if max_length is None else max_length
    if min(sizes, default=0) < 0 or len(sizes) > slots or longest > max_length:
        raise ValueError(
            f"{len(sizes)} documents of up to {longest} tokens do not fit {slots=} {max_length=} {tokens=}"
        )
    size = torch.tensor(sizes, dtype=torch.int32)
    end = size.cumsum(0, dtype=torch.int32)
    boundaries = torch.full((slots + 1,), tokens, dtype=torch.int32)
    boundaries[0] = 0
    boundaries[1 : len(sizes) + 1] = end
    first, end = (end - size).repeat_interleave(size), end.repeat_interleave(size)
    return Documents(_moved(boundaries, device), _moved(first, device), _moved(end, device), max_length)


def _moved(tensor: Tensor, device: torch.device) -> Tensor:
    """From pinned memory, so that the host need not wait for the copy."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
