"""What stays in memory of a row is a few bytes, however many rows there are."""

import gc
import tracemalloc
from pathlib import Path

import numpy as np

from tests.data.material import CHATML, recipe_of, write_questions, write_tokenizer
from tui_tuner.data.label_audit import audit_rows
from tui_tuner.data.packing import pack
from tui_tuner.data.store.hash_set import HashSet
from tui_tuner.recipe import DataSource, Recipe

FEW_ROWS, MANY_ROWS = 100, 400
MOST_PER_ROW = 120
"""Bytes. A tuple of a row's number and its place takes some 250, its tokens and text thousands."""


def audit(recipe: Recipe, model: Path) -> object:
    with audit_rows(recipe.data, model, "assistant", None, lambda *_: None) as run:
        for _ in run.rows():
            pass
        return run


def held_after_audit(folder: Path, count: int) -> int:
    """Bytes that Python and numpy hold when so many rows, and as many held-out ones, have gone through."""
    train, held_out = (write_questions(folder / f"{name}.jsonl", count) for name in ("train", "held_out"))
    tracemalloc.start()
    try:
        done = audit(recipe_of(train, evaluation_sources=(DataSource(path=str(held_out)),)), folder / "model")
        gc.collect()
        return tracemalloc.get_traced_memory()[0] if done else 0
    finally:
        tracemalloc.stop()


def test_every_further_row_of_an_audit_takes_a_few_bytes(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "model", CHATML)
    # The first pass fills caches.
    _, few, many = (held_after_audit(tmp_path, count) for count in (FEW_ROWS, FEW_ROWS, MANY_ROWS))
    assert many - few < MOST_PER_ROW * 2 * (MANY_ROWS - FEW_ROWS)


def test_packing_takes_a_few_bytes_for_each_row() -> None:
    lengths = (np.random.PCG64(1).random_raw(30_000) % 700 + 20).astype(np.int32)
    tracemalloc.start()
    pack(lengths, 2048)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * len(lengths)


def test_a_set_of_hashes_grows_without_python_objects() -> None:
    hashes = np.unique(np.random.PCG64(1).random_raw(30_000)).tolist()
    tracemalloc.start()
    held = HashSet()
    is_new = [held.add(one) for one in hashes]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(is_new) and len(held) == len(hashes) and all(one in held for one in hashes)
    assert peak < 90 * len(hashes)  # Python's own set takes more, and the numbers in it as much again
