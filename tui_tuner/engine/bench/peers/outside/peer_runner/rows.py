"""From rows of tokens to padded, grouped or packed batches, as the peers take them. Shapes: B rows, T tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .job import Job

IGNORED_LABEL = -100
WINDOW = 50
"""Batches among whose rows length-grouped sampling sorts, as Hugging Face's trainer does."""


@dataclass(frozen=True)
class Rows:
    """Token ids and whether each is trained, row by row."""

    ids: list[Tensor]
    trained: list[Tensor]


@dataclass(frozen=True)
class Batch:
    """Arguments of one forward pass; labels are not shifted."""

    input_ids_BT: Tensor
    labels_BT: Tensor
    attention_mask_BT: Tensor | None
    """None where nothing is padded."""
    position_ids_BT: Tensor | None
    """Where several rows share one."""
    num_tokens: int

    def to(self, device: torch.device) -> "Batch":
        mask, positions = self.attention_mask_BT, self.position_ids_BT
        return Batch(
            self.input_ids_BT.to(device),
            self.labels_BT.to(device),
            None if mask is None else mask.to(device),
            None if positions is None else positions.to(device),
            self.num_tokens,
        )


def read_rows(path: Path) -> Rows:
    with np.load(path) as arrays:
        borders = np.cumsum(arrays["lengths"])[:-1]
        ids = np.split(arrays["ids"].astype(np.int64), borders)
        trained = np.split(arrays["trained"].astype(np.bool_), borders)
    return Rows([torch.from_numpy(one) for one in ids], [torch.from_numpy(one) for one in trained])


def check_batch(rows: Rows, job: Job) -> Batch:
    """The first rows, padded; every system's loss and gradients of them are compared."""
    return padded(rows, list(range(job.check_rows)))


def batches(rows: Rows, job: Job) -> Iterator[Batch]:
    """Micro-batches without end, as the job wants them."""
    groups = _groups(rows, job)
    while True:
        for members in groups:
            yield packed(rows, members) if job.way == "packed" else padded(rows, members)


def padded(rows: Rows, members: list[int]) -> Batch:
    """Rows side by side, padded on the right to the longest."""
    lengths = [len(rows.ids[one]) for one in members]
    shape = (len(members), max(lengths))
    ids, mask = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED_LABEL)
    for place, (one, length) in enumerate(zip(members, lengths, strict=True)):
        ids[place, :length], mask[place, :length] = rows.ids[one], 1
        labels[place, :length] = rows.ids[one].masked_fill(~rows.trained[one], IGNORED_LABEL)
    return Batch(ids, labels, None if min(lengths) == max(lengths) else mask, None, sum(lengths))


def packed(rows: Rows, members: list[int]) -> Batch:
    """Rows end to end, told apart by positions that begin anew; no row's first token is predicted."""
    ids = torch.cat([rows.ids[one] for one in members])
    labels = ids.masked_fill(~torch.cat([rows.trained[one] for one in members]), IGNORED_LABEL)
    lengths = [len(rows.ids[one]) for one in members]
    labels[torch.tensor([0, *lengths[:-1]]).cumsum(0)] = IGNORED_LABEL
    positions = torch.cat([torch.arange(length) for length in lengths])
    return Batch(ids[None], labels[None], None, positions[None], len(ids))


def _groups(rows: Rows, job: Job) -> list[list[int]]:
    order = list(range(len(rows.ids)))
    if job.way == "packed":
        return _filled(rows, order, job.rows_per_batch * job.max_length)
    if job.way == "grouped":
        window = WINDOW * job.rows_per_batch
        starts = range(0, len(order), window)
        order = [
            one for start in starts for one in sorted(order[start : start + window], key=lambda i: len(rows.ids[i]))
        ]
    size = job.rows_per_batch
    groups = [order[start : start + size] for start in range(0, len(order) - size + 1, size)]
    if job.way == "grouped":
        shuffled = torch.randperm(len(groups), generator=torch.Generator().manual_seed(0)).tolist()
        groups = [groups[place] for place in shuffled]
    return groups


def _filled(rows: Rows, order: list[int], capacity: int) -> list[list[int]]:
    """Rows in their order, as many as fit."""
    groups: list[list[int]] = [[]]
    used = 0
    for one in order:
        if used + len(rows.ids[one]) > capacity and groups[-1]:
            groups.append([])
            used = 0
        groups[-1].append(one)
        used += len(rows.ids[one])
    return groups
