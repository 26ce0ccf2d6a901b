"""What packing makes of the rows to learn from. The batches themselves are checked when a run starts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tui_tuner.data.lengths.settling import settle_packing
from tui_tuner.data.packing import pack
from tui_tuner.recipe import DataSection


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedRows:
    """The sequences of one epoch, each filled up to the max length."""

    num_rows: int
    num_sequences: int
    max_length: int
    padding_share: float


def packed_rows(data: DataSection, lengths: Sequence[int], max_length: int) -> PackedRows | None:
    """`lengths` are those of the training rows at the max length, documents whole; None where rows are not packed."""
    sizes = np.asarray(lengths, dtype=np.int64)
    if not sizes.size or not settle_packing(data, np.minimum(sizes, max_length), len(sizes), max_length):
        return None
    pieces = np.concatenate((np.full(int((sizes // max_length).sum()), max_length), sizes % max_length))
    num_sequences = len(pack(pieces[pieces > 0].astype(np.int32), max_length))
    return PackedRows(
        num_rows=len(sizes),
        num_sequences=num_sequences,
        max_length=max_length,
        padding_share=1 - int(sizes.sum()) / (num_sequences * max_length),
    )
