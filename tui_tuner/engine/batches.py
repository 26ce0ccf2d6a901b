"""From labelled examples to the tensors of one optimizer step. Which rows form step N is a pure function of the plan.

Shapes: B sequences of a micro-batch, T tokens of the longest of them.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.packing import Bins, pack
from tui_tuner.data.splits import bin_order, epoch_order
from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.kernels.linear_cross_entropy import IGNORED_LABEL
from tui_tuner.plan import RunPlan

Sequence_ = tuple[int, ...]
"""One row of a micro-batch: the indices of the examples in it; more than one where rows are packed."""


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What one forward pass sees."""

    input_ids_BT: Tensor
    labels_BT: Tensor
    """Already shifted: position t holds the token that position t must predict, or -100."""
    position_ids_BT: Tensor
    """Restart at 0 with each document of a packed sequence; that keeps attention inside documents."""
    documents: tuple[tuple[int, ...], ...]
    """Lengths of the documents in each row, in order; what a row has behind them is padding."""
    num_trained: int
    """Labels that are not -100."""
    examples: Sequence_

    @property
    def num_tokens(self) -> int:
        """Tokens without padding."""
        return sum(sum(lengths) for lengths in self.documents)

    def to(self, device: torch.device) -> "MicroBatch":
        tensors: tuple[Tensor, ...] = (self.input_ids_BT, self.labels_BT, self.position_ids_BT)
        if device.type == "cuda" and not self.input_ids_BT.is_cuda:
            # From pageable memory the host would wait until the device has done all that came before.
            tensors = tuple(tensor.pin_memory() for tensor in tensors)
        ids, labels, positions = (tensor.to(device, non_blocking=True) for tensor in tensors)
        return replace(self, input_ids_BT=ids, labels_BT=labels, position_ids_BT=positions)


@dataclass(frozen=True, slots=True)
class Position:
    """Where in the data the next step begins."""

    epoch: int = 0
    sequence: int = 0
    """Sequences of that epoch which were taken already."""
    order: str = ""
    """SHA-256 over the sequences of the epoch in their order; empty before the first step."""


BEGINNING = Position()


@dataclass(frozen=True, slots=True)
class StepBatch:
    """The micro-batches of one optimizer step; the loss is normalised by all their trained tokens together."""

    micro_batches: tuple[MicroBatch, ...]
    epoch: float
    """Passes over the data when this step is done."""
    after: Position

    @property
    def num_tokens(self) -> int:
        return sum(one.num_tokens for one in self.micro_batches)

    @property
    def num_trained(self) -> int:
        return sum(one.num_trained for one in self.micro_batches)

    @property
    def examples(self) -> Sequence_:
        return tuple(index for one in self.micro_batches for index in one.examples)


def step_batches(examples: StoredExamples, plan: RunPlan, begin: Position = BEGINNING) -> Iterator[StepBatch]:
    """Batches for `plan.schedule.total_steps` steps or more, epoch after epoch, from a position on.

    The last step of an epoch may be smaller.
    """
    schedule = plan.schedule
    per_step = schedule.micro_batch_size * schedule.gradient_accumulation
    for epoch in range(begin.epoch, begin.epoch + schedule.total_steps):  # An epoch has at least one step.
        sequences = epoch_sequences(examples, plan, epoch)
        order = order_hash(sequences)
        first_start = begin.sequence if epoch == begin.epoch else 0
        for start in range(first_start, len(sequences), per_step):
            taken = sequences[start : start + per_step]
            micro = tuple(
                collate(examples, taken[first : first + schedule.micro_batch_size])
                for first in range(0, len(taken), schedule.micro_batch_size)
            )
            end = min(start + per_step, len(sequences))
            yield StepBatch(micro, epoch + end / len(sequences), Position(epoch, end, order))


def epoch_sequences(examples: StoredExamples, plan: RunPlan, epoch: int) -> Bins:
    """The sequences of one epoch in order: one example each, or packed bins."""
    data = plan.recipe.data
    weights = [source.weight for source in data.sources]
    places = epoch_order(examples.sources, weights, data.seed, epoch, data.shuffle)
    if not plan.data.packing:
        return Bins.of_one(places)
    bins = pack(examples.lengths[places], plan.data.max_length).renumbered(places)
    return bins.at(bin_order(len(bins), data.seed, epoch, data.shuffle))


def order_hash(sequences: Sequence[Sequence_]) -> str:
    """SHA-256 over which examples share a sequence, and in which order the sequences come."""
    return hashlib.sha256(repr(tuple(sequences)).encode()).hexdigest()


def collate(examples: Sequence[LabelledExample], sequences: Sequence[Sequence_]) -> MicroBatch:
    """Lay documents end to end within each sequence, and pad sequences on the right to the longest."""
    documents = [[examples[index] for index in members] for members in sequences]
    lengths = tuple(tuple(document.num_tokens for document in row) for row in documents)
    shape = (len(sequences), max(map(sum, lengths)))
    input_ids, labels = np.zeros(shape, np.int64), np.full(shape, IGNORED_LABEL, np.int64)
    positions = np.tile(np.arange(shape[1]), (shape[0], 1))
    for row, members in enumerate(documents):
        start = 0
        for document in members:
            end = start + document.num_tokens
            input_ids[row, start:end] = document.input_ids
            # The last token of a document predicts nothing, so no label crosses into the next one.
            labels[row, start : end - 1] = document.labels[1:]
            positions[row, start:end] = np.arange(end - start)
            start = end
        if len(members) > 1:
            positions[row, start:] = np.arange(shape[1] - start)
    return MicroBatch(
        torch.from_numpy(input_ids),
        torch.from_numpy(labels),
        torch.from_numpy(positions),
        lengths,
        int((labels != IGNORED_LABEL).sum()),
        tuple(index for members in sequences for index in members),
    )


def evaluation_batches(examples: Sequence[LabelledExample], micro_batch_size: int) -> Iterator[MicroBatch]:
    """Held-out rows ordered by length so that little is padding."""
    by_length = sorted(range(len(examples)), key=lambda index: examples[index].num_tokens)
    for start in range(0, len(by_length), micro_batch_size):
        yield collate(examples, [(index,) for index in by_length[start : start + micro_batch_size]])
