"""From a micro-batch to the hidden states before the head, through our own layers; gradients by `backward` as usual."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from tui_tuner.engine.acceleration.rotations import Rotations
from tui_tuner.engine.batches import MicroBatch
from tui_tuner.kernels.attention.causal import Layout, path_for
from tui_tuner.kernels.attention.kernel import Scores
from tui_tuner.kernels.documents import Documents, batch_of, pack_of
from tui_tuner.kernels.layer.parts import Batch
from tui_tuner.kernels.layer.stack import Stack, decode
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL
from tui_tuner.kernels.rms_norm import Norm, rms_norm


@dataclass(frozen=True, slots=True)
class Tokens:
    """A micro-batch as one line of tokens, without its padding."""

    ids: Tensor
    positions: Tensor
    labels: Tensor
    documents: Documents

    def copied(self) -> "Tokens":
        """The same in tensors of their own, for `refill`."""
        own = self.documents
        documents = replace(own, boundaries=own.boundaries.clone(), first=own.first.clone(), end=own.end.clone())
        return Tokens(self.ids.clone(), self.positions.clone(), self.labels.clone(), documents)

    def refill(self, others: "Tokens") -> None:
        """Takes over tokens of the same shape."""
        mine = (self.ids, self.positions, self.labels)
        for target, source in zip(mine, (others.ids, others.positions, others.labels), strict=True):
            target.copy_(source, non_blocking=True)
        self.documents.refill(others.documents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """Embedding, decoder layers and final norm of one model."""

    embedding: nn.Module
    embedding_multiplier: float
    stack: Stack
    rotations: Rotations
    final_norm: Tensor
    """Its weight."""
    norm: Norm
    drops: bool = False
    """Whether adapters drop some of their input while they are trained."""

    def hidden(self, micro_batch: MicroBatch) -> tuple[Tensor, Tensor]:
        """Normed hidden states [T, hidden] and labels [T]; nothing waits for the device."""
        tokens = in_one_line(micro_batch)
        batch = self.batch(tokens, is_trained=torch.is_grad_enabled())
        x = decode(self.embedded(tokens), self.stack, batch)
        return rms_norm(x, self.final_norm, self.norm), tokens.labels

    def embedded(self, tokens: Tokens) -> Tensor:
        """The input of the first layer [T, hidden]."""
        x: Tensor = self.embedding(tokens.ids)
        return x if self.embedding_multiplier == 1.0 else x * self.embedding_multiplier

    def batch(self, tokens: Tokens, *, is_trained: bool = False) -> Batch:
        """What the layers must know of the tokens. Masks follow from torch's generator, which checkpoints hold."""
        rotations = self.rotations.at(tokens.positions, tokens.documents.max_length)
        seed = None
        if self.drops and is_trained:
            seed = torch.full((), int(torch.randint(MOST_SEEDS, ())), dtype=torch.int64, device=tokens.ids.device)
        return Batch(rotations, self._layouts(tokens.documents), seed)

    def _layouts(self, documents: Documents) -> dict[Scores, Layout]:
        layouts: dict[Scores, Layout] = {}
        for layer in self.stack.layers:
            shape = layer.shape
            if shape.scores not in layouts:
                q = torch.empty(0, 1, shape.head_dim, dtype=self.stack.space.dtype, device=self.stack.space.device)
                layouts[shape.scores] = Layout(documents, shape.scores, path_for(q, documents, shape.scores).path)
        return layouts


@dataclass(frozen=True, slots=True)
class FixedShape:
    """What packed micro-batches are padded to, so that memory of one serves the next, and a recording all of them."""

    tokens: int
    longest: int | None = None
    """No document has more tokens, and there is room for more documents than come; None where neither must be fixed."""
    least_share: float = 0.9
    """Batches that fill less of it keep their own shape: computing padding would cost more than it gains."""

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether a batch of documents of these lengths is padded. Where nothing must be fixed, those of one length are
        not: as a plain batch they have faster attention.
        """
        is_plain = self.longest is None and len(set(lengths)) == 1
        return not is_plain and self.least_share * self.tokens <= sum(lengths) <= self.tokens


MOST_SEEDS = 2**31
SLOTS = 32
"""The number of documents that there is room for is rounded up to this."""


def document_lengths(micro_batch: MicroBatch) -> list[int]:
    """Of all rows, in their order."""
    return [length for row in micro_batch.documents for length in row]


def in_one_line(micro_batch: MicroBatch, fixed: FixedShape | None = None) -> Tokens:
    """Rows one behind the other. Padding is left out: attention knows the bounds of documents."""
    device = micro_batch.input_ids_BT.device
    rows, width = micro_batch.input_ids_BT.shape
    used = [sum(lengths) for lengths in micro_batch.documents]
    ids, positions, labels = (
        tensor.flatten() for tensor in (micro_batch.input_ids_BT, micro_batch.position_ids_BT, micro_batch.labels_BT)
    )
    if sum(used) < rows * width:
        kept = torch.cat([torch.arange(row * width, row * width + length) for row, length in enumerate(used)])
        kept = kept.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else kept
        ids, positions, labels = ids[kept], positions[kept], labels[kept]
    lengths = document_lengths(micro_batch)
    if fixed is not None and fixed.fits(lengths):
        return _padded(Tokens(ids, positions, labels, batch_of(1, 1, device)), lengths, fixed)
    if len(set(lengths)) == 1:
        return Tokens(ids, positions, labels, batch_of(len(lengths), lengths[0], device))
    return Tokens(ids, positions, labels, pack_of(lengths, sum(lengths), device))


def _padded(tokens: Tokens, lengths: list[int], fixed: FixedShape) -> Tokens:
    """Padding becomes documents of its own, none of them longer than others are or may be."""
    missing, longest = fixed.tokens - sum(lengths), fixed.longest or max(lengths)
    parts = [longest] * (missing // longest) + [missing % longest]
    lengths = [length for length in (*lengths, *parts) if length]
    slots = None if fixed.longest is None else -(-len(lengths) // SLOTS) * SLOTS
    documents = pack_of(lengths, fixed.tokens, tokens.ids.device, slots=slots, max_length=longest)
    pad = torch.nn.functional.pad
    ids, positions = pad(tokens.ids, (0, missing)), pad(tokens.positions, (0, missing))
    return Tokens(ids, positions, pad(tokens.labels, (0, missing), value=IGNORED_LABEL), documents)
