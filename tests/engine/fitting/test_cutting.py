"""Smaller micro-batches hold the same rows in the same order, as a smaller setting would have made them."""

from pathlib import Path

import pytest
import torch

from tests.engine.test_families import LENGTHS, rows
from tests.engine.tiny_runs import recipe_in
from tui_tuner.engine.batches import BEGINNING, MicroBatch, StepBatch, collate
from tui_tuner.engine.fitting.cutting import cut_step, next_fit
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import MemoryFit, RunPlan
from tui_tuner.planning.run_plan import make_plan

ALL = tuple(range(len(LENGTHS)))
SINGLE = [(index,) for index in ALL]


@pytest.fixture
def plan(tmp_path: Path) -> RunPlan:
    return make_plan(recipe_in(tmp_path, "acceleration.recompute=off"), probe_hardware())


def step(*micro_batches: MicroBatch) -> StepBatch:
    return StepBatch(micro_batches, 1.0, BEGINNING)


def same(one: MicroBatch, other: MicroBatch) -> bool:
    tensors = ("input_ids_BT", "labels_BT", "position_ids_BT")
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in tensors) and (
        (one.documents, one.num_trained, one.examples) == (other.documents, other.num_trained, other.examples)
    )


@pytest.mark.parametrize("size", [1, 2, 3])
def test_rows_come_as_if_the_micro_batch_had_been_smaller_from_the_start(size: int) -> None:
    cut = cut_step(step(collate(rows(), SINGLE)), MemoryFit(rows=size)).micro_batches
    wanted = [collate(rows(), SINGLE[start : start + size]) for start in range(0, len(SINGLE), size)]
    assert len(cut) == len(wanted)
    assert all(same(one, other) for one, other in zip(cut, wanted, strict=True))


def test_a_packed_sequence_is_cut_between_its_documents() -> None:
    cut = cut_step(step(collate(rows(), [ALL])), MemoryFit(rows=1, parts=2)).micro_batches
    assert len(cut) == 2
    wanted = [collate(rows(), [one.examples]) for one in cut]
    assert all(same(one, other) for one, other in zip(cut, wanted, strict=True))
    assert [index for one in cut for index in one.examples] == list(ALL)


def test_parts_have_about_as_many_tokens() -> None:
    lengths = [
        one.num_tokens for one in cut_step(step(collate(rows(), [ALL])), MemoryFit(rows=1, parts=2)).micro_batches
    ]
    assert max(lengths) - min(lengths) <= max(LENGTHS)


def test_a_step_keeps_its_tokens_and_labels() -> None:
    whole = step(collate(rows(), SINGLE), collate(rows(), [ALL, ALL[1:]]))
    cut = cut_step(whole, MemoryFit(rows=1, parts=4))
    assert (cut.num_tokens, cut.num_trained, cut.examples) == (whole.num_tokens, whole.num_trained, whole.examples)


def test_what_comes_next_is_fewer_rows_then_parts_then_layers_that_keep_less(plan: RunPlan) -> None:
    batch, fit = step(collate(rows(), [ALL, ALL])), MemoryFit()
    seen: list[MemoryFit] = []
    while (following := next_fit(plan, fit, batch)) is not None:
        seen.append(following)
        fit = following
    assert seen[0] == MemoryFit(rows=1)
    assert [one.parts for one in seen if one.recompute is None] == [1, 2, 4]
    assert (seen[-1].recompute, seen[-1].layers and seen[-1].layers.keep) == ("layers", 1)


def test_layers_go_to_the_host_last_and_only_beside_a_gpu(plan: RunPlan) -> None:
    lone = step(collate(rows(), SINGLE[:1]))
    on_gpu = plan.model_copy(update={"device": "cuda"})
    first = next_fit(on_gpu, MemoryFit(), lone)
    assert first is not None
    second = next_fit(on_gpu, first, lone)
    assert second is not None
    third = next_fit(on_gpu, second, lone)
    assert third is not None
    last = next_fit(on_gpu, third, lone)
    assert last is not None
    assert (first.recompute, second.recompute, third.layers and third.layers.keep) == ("layers", "offload", 0)
    assert last.layers is not None and last.layers.sends == "input"
    assert (next_fit(on_gpu, last, lone), next_fit(plan, first, lone)) == (None, None)


def test_nothing_is_cut_where_nothing_is_asked() -> None:
    whole = step(collate(rows(), SINGLE))
    assert cut_step(whole, MemoryFit(recompute="layers")) is whole
