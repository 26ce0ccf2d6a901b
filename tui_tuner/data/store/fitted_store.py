"""The examples of a store at a max length: short ones stay where they are, what others become is put behind them."""

from array import array
from dataclasses import dataclass

import numpy as np

from tui_tuner.data.lengths import OverLength, fit_examples
from tui_tuner.data.store.example_store import ExampleStore, StoredExamples
from tui_tuner.data.tokenizer import IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedStore:
    """As `lengths.FittedExamples`, on disk."""

    examples: StoredExamples
    full_lengths: IntArray
    num_cut: int
    num_answers_cut: int
    num_dropped: int


def fit_store(store: ExampleStore, max_length: int, over_length: OverLength) -> FittedStore:
    """Fit all examples of a store, in their order."""
    numbers, full_lengths = array("q"), array("i")
    num_cut = num_answers_cut = num_dropped = 0
    for number, (length, is_document) in enumerate(zip(store.lengths(), store.is_document(), strict=True)):
        if not is_document and length <= max_length:
            numbers.append(number)
            full_lengths.append(int(length))
            continue
        fitted = fit_examples([store.read(number)], max_length, over_length)
        numbers.extend(store.append(example) for example in fitted.examples)
        full_lengths.extend(fitted.full_lengths)
        num_cut += fitted.num_cut
        num_answers_cut += fitted.num_answers_cut
        num_dropped += fitted.num_dropped
    return FittedStore(
        examples=StoredExamples(store, np.array(numbers, dtype=np.intp)),
        full_lengths=np.array(full_lengths, dtype=np.int32),
        num_cut=num_cut,
        num_answers_cut=num_answers_cut,
        num_dropped=num_dropped,
    )
