"""Which tokens a step sees, and which of them count: nothing is lost, nothing crosses from row to row."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.engine.tiny_runs import recipe_in
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import RowRef
from tui_tuner.data.store.example_store import stored
from tui_tuner.engine.batches import StepBatch, collate, epoch_sequences, evaluation_batches, step_batches
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import make_plan


def example(number: int, length: int, untrained: int = 1, source: int = 0) -> LabelledExample:
    """Tokens number * 100, number * 100 + 1 ...; all but the first few are trained."""
    ids = np.arange(length, dtype=np.int32) + 100 * number
    labels = np.where(np.arange(length) < untrained, np.int32(NOT_TRAINED), ids)
    return LabelledExample(
        ref=RowRef("rows", number), kind="document", input_ids=ids, labels=labels, prompt_ids=ids[:1],
        answer_start=1, source=source,
    )  # fmt: skip


EXAMPLES = stored([example(number, length) for number, length in enumerate((4, 7, 2, 5, 3, 6, 4))])


def plan_of(folder: Path, *overrides: str) -> RunPlan:
    return make_plan(recipe_in(folder, "training.max_steps=5", *overrides), probe_hardware())


def seen(batches: list[StepBatch]) -> list[tuple[int, ...]]:
    return [batch.examples for batch in batches]


def test_labels_are_shifted_within_each_row_and_padding_does_not_count() -> None:
    batch = collate([example(1, 4, untrained=2), example(2, 2)], [(0,), (1,)])
    assert batch.input_ids_BT.tolist() == [[100, 101, 102, 103], [200, 201, 0, 0]]
    assert batch.labels_BT.tolist() == [[-100, 102, 103, -100], [201, -100, -100, -100]]
    assert batch.num_tokens == 6


def test_packed_rows_keep_their_own_positions_and_no_label_crosses_over() -> None:
    batch = collate([example(1, 3), example(2, 2, untrained=0), example(3, 7)], [(0, 1), (2,)])
    assert batch.position_ids_BT.tolist() == [[0, 1, 2, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5, 6]]
    assert batch.labels_BT[0].tolist() == [101, 102, -100, 201, -100, -100, -100]
    assert batch.input_ids_BT[0].tolist() == [100, 101, 102, 200, 201, 0, 0]


def test_every_trained_token_is_predicted_once_however_rows_are_laid_out() -> None:
    wanted = Counter(int(token) for one in EXAMPLES for token in one.labels[1:] if token != NOT_TRAINED)
    for layout in ([(index,) for index in range(7)], [tuple(range(7))], [(0, 3), (1,), (2, 6, 4, 5)]):
        labels = collate(EXAMPLES, layout).labels_BT
        assert Counter(labels[labels != NOT_TRAINED].tolist()) == wanted


def test_an_epoch_sees_each_row_once_and_its_last_step_may_be_smaller(tmp_path: Path) -> None:
    batches = list(islice(step_batches(EXAMPLES, plan_of(tmp_path)), 5))
    assert [len(batch.examples) for batch in batches] == [4, 3, 4, 3, 4]
    assert [len(batch.micro_batches) for batch in batches] == [2, 2, 2, 2, 2]
    assert sorted(batches[0].examples + batches[1].examples) == list(range(7))
    assert [batch.epoch for batch in batches] == pytest.approx([4 / 7, 1.0, 11 / 7, 2.0, 18 / 7])


def test_the_order_depends_on_the_seed_alone(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    first, again = (seen(list(step_batches(EXAMPLES, plan))) for _ in range(2))
    assert first == again
    assert seen(list(step_batches(EXAMPLES, plan_of(tmp_path, "data.seed=1")))) != first
    assert seen(list(step_batches(EXAMPLES, plan_of(tmp_path, "data.shuffle=false"))))[0] == (0, 1, 2, 3)


def test_packed_epochs_hold_every_row_once_within_the_length(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "data.packing=true", "data.max_length=10")
    plan = plan.model_copy(update={"data": plan.data.model_copy(update={"packing": True, "max_length": 10})})
    for epoch in range(3):
        sequences = epoch_sequences(EXAMPLES, plan, epoch)
        assert sorted(index for members in sequences for index in members) == list(range(7))
        assert max(sum(EXAMPLES[index].num_tokens for index in members) for members in sequences) <= 10


def test_a_step_counts_its_tokens_without_padding(tmp_path: Path) -> None:
    batch = next(step_batches(EXAMPLES, plan_of(tmp_path, "data.shuffle=false")))
    assert (batch.num_tokens, batch.num_trained) == (4 + 7 + 2 + 5, 3 + 6 + 1 + 4)


def test_evaluation_takes_every_row_once_from_short_to_long() -> None:
    batches = list(evaluation_batches(EXAMPLES, 3))
    widths = [batch.input_ids_BT.shape[1] for batch in batches]
    assert widths == sorted(widths)
    assert sorted(index for batch in batches for index in batch.examples) == list(range(7))
    assert all(batch.input_ids_BT.dtype == torch.int64 for batch in batches)
