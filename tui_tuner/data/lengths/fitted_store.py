"""The examples of a store at a max length: what longer rows and documents become is put behind the others."""

from array import array
from dataclasses import dataclass

import numpy as np

from tui_tuner.data.lengths.cutting import split_document
from tui_tuner.data.splits import IndexArray
from tui_tuner.data.store.example_store import ExampleStore, StoredExamples
from tui_tuner.data.tokenizer import IntArray

LEFT_OUT = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedStore:
    """Examples of at most the max length."""

    examples: StoredExamples
    full_lengths: IntArray
    """Tokens of each conversation as it was, those left out included, and of each piece of a document."""


def fit_store(store: ExampleStore, whole: IndexArray, kept: IndexArray, max_length: int) -> FittedStore:
    """Put together what is trained, in the order of the rows.

    `whole` are the rows as they were, `kept` what is trained of each conversation, or `LEFT_OUT`.
    """
    numbers, full_lengths = array("q"), array("i")
    lengths, is_document = store.lengths(), store.is_document()
    for number, fitted in zip(whole.tolist(), kept.tolist(), strict=True):
        if is_document[number]:
            for piece in split_document(store.read(number), max_length):
                numbers.append(store.append(piece))
                full_lengths.append(piece.num_tokens)
            continue
        full_lengths.append(int(lengths[number]))
        if fitted != LEFT_OUT:
            numbers.append(fitted)
    return FittedStore(
        examples=StoredExamples(store, np.array(numbers, dtype=np.intp)),
        full_lengths=np.array(full_lengths, dtype=np.int32),
    )
