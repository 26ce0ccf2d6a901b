"""Batches as peers take them: padded, grouped by length, packed."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from tui_tuner.engine.bench.peers.outside.peer_runner.job import Job
from tui_tuner.engine.bench.peers.outside.peer_runner.rows import Rows, batches, check_batch, packed, padded, read_rows

LENGTHS = (3, 5, 2, 4)
JOB = Job(
    system="hf", model="", base="f32", recompute="off", device="cpu", rows="", adapter="", result="", rows_per_batch=2,
    check_rows=3, max_length=8,
)  # fmt: skip


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    total = sum(LENGTHS)
    trained = np.ones(total, dtype=bool)
    trained[0] = False
    np.savez(tmp_path / "rows.npz", ids=np.arange(10, 10 + total), trained=trained, lengths=LENGTHS)
    return read_rows(tmp_path / "rows.npz")


def test_padding_is_masked_and_not_trained(rows: Rows) -> None:
    batch = padded(rows, [0, 1])
    assert batch.input_ids_BT.tolist() == [[10, 11, 12, 0, 0], [13, 14, 15, 16, 17]]
    assert batch.labels_BT.tolist() == [[-100, 11, 12, -100, -100], [13, 14, 15, 16, 17]]
    assert batch.attention_mask_BT is not None
    assert batch.attention_mask_BT.sum().item() == batch.num_tokens == 8


def test_rows_of_one_length_need_no_mask(rows: Rows) -> None:
    assert padded(rows, [1]).attention_mask_BT is None


def test_positions_begin_anew_in_a_pack_and_no_row_predicts_the_next(rows: Rows) -> None:
    batch = packed(rows, [0, 2])
    assert batch.position_ids_BT is not None
    assert batch.position_ids_BT.tolist() == [[0, 1, 2, 0, 1]]
    assert batch.labels_BT.tolist() == [[-100, 11, 12, -100, 19]]


def test_packs_hold_no_more_than_their_capacity(rows: Rows) -> None:
    job = replace(JOB, way="packed", rows_per_batch=1)
    assert [batch.num_tokens for batch in islice(batches(rows, job), 3)] == [8, 6, 8]


def test_grouped_batches_have_rows_of_like_length(rows: Rows) -> None:
    sizes = {batch.num_tokens for batch in islice(batches(rows, replace(JOB, way="grouped")), 2)}
    assert sizes == {2 + 3, 4 + 5}


def test_the_check_takes_the_first_rows(rows: Rows) -> None:
    assert check_batch(rows, JOB).num_tokens == 3 + 5 + 2
