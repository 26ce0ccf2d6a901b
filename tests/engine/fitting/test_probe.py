"""The probe before the first step, with a meter that says what the test wants: a processor has none of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.engine.fitting.test_running_out import room_for
from tests.engine.tiny_runs import recipe_in
from tests.tiny import write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.building import build_loop
from tui_tuner.engine.fitting.probe import largest_micro_batch, probe_memory
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.loop import TrainingLoop
from tui_tuner.events import MemoryExceeded, MemoryProbed, StepFinished, TrainEvent
from tui_tuner.hardware import probe_hardware
from tui_tuner.journal import RunJournal
from tui_tuner.plan import LayerCounts, MemoryFit
from tui_tuner.planning.fitting.fit import expected_peak
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan
from tui_tuner.recipe import recipe_to_toml

LAYERS = 6
ONE_KEEPS = {"recompute": "layers", "layers": LayerCounts(keep=1, recompute=LAYERS - 1, offload=0)}
MIB = 2**20


class Told:
    """A meter that answers one after the other."""

    def __init__(self, *peaks: int) -> None:
        self.peaks = list(peaks)

    def reset(self) -> None:
        pass

    def peak(self) -> int:
        return self.peaks.pop(0) if len(self.peaks) > 1 else self.peaks[0]


@contextmanager
def loop_in(folder: Path, *overrides: str, **changes: object) -> Iterator[TrainingLoop]:
    """A loop before its first step, on a device with 10 GiB; `changes` are of its plan."""
    model = write_tiny_model(folder / "model", num_hidden_layers=LAYERS)
    plan = make_plan(recipe_in(folder, *overrides, model=model), probe_hardware())
    labelling = label_with_progress(plan)
    try:
        while True:
            next(labelling)
    except StopIteration as end:
        data = end.value
    plan = fetch_weights(refine_plan(plan, data.facts))
    memory = plan.memory.model_copy(update={"available": 10 * 2**30})
    plan = plan.model_copy(update={"memory": memory, **changes})
    with RunJournal.create(folder / "runs", "one", recipe_to_toml(plan.recipe), plan) as journal:
        yield build_loop(plan, data, Controls(), journal, None)


def expected(loop: TrainingLoop) -> int:
    batch = largest_micro_batch(loop.data.train, loop.plan, MemoryFit()).micro_batches[0]
    return expected_peak(loop.plan, MemoryFit(), len(batch.documents), batch.num_tokens).allocated


def probed(events: list[TrainEvent]) -> list[MemoryProbed]:
    return [one for one in events if isinstance(one, MemoryProbed)]


def test_a_processor_is_not_probed(tmp_path: Path) -> None:
    with loop_in(tmp_path) as loop:
        assert not list(probe_memory(loop))


def test_the_probe_says_what_was_expected_of_the_very_batch(tmp_path: Path) -> None:
    with loop_in(tmp_path) as loop:
        wanted = expected(loop)
        (one,) = probed(list(probe_memory(loop, Told(wanted + 3))))
    longest = sorted(loop.data.train.lengths)[-2:]
    assert (one.rows, one.tokens, one.expected, one.measured) == (2, sum(longest), wanted, wanted + 3)
    assert one.fit is None


@pytest.mark.parametrize("settings", [(), ("acceleration.kernels=off",), ("adapter.dropout=0.2",)])
def test_steps_after_a_probe_are_those_without_it_bit_for_bit(tmp_path: Path, settings: tuple[str, ...]) -> None:
    results = []
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
        with loop_in(tmp_path / name, *settings) as loop:
            if name == "with":
                assert probed(list(probe_memory(loop, Told(1))))
            losses = [event.loss for event in loop.train() if isinstance(event, StepFinished)]
            results.append((losses, [one.parameter.detach().clone() for one in loop.trained.tensors]))
    (losses, tensors), (losses_without, tensors_without) = results
    assert losses == losses_without
    assert all(torch.equal(one, other) for one, other in zip(tensors, tensors_without, strict=True))


def test_nothing_of_it_is_left_in_gradients_and_optimizer(tmp_path: Path) -> None:
    with loop_in(tmp_path) as loop:
        list(probe_memory(loop, Told(1)))
        assert not any(one.parameter.grad is not None and one.parameter.grad.any() for one in loop.trained.tensors)
        moments = [value for key, value in loop.optimizer.state().tensors.items() if key.startswith("exp_avg")]
        assert moments
        assert not any(value.any() for value in moments)


def test_more_than_the_budget_lets_layers_keep_less(tmp_path: Path) -> None:
    with loop_in(tmp_path) as loop:
        reserve = probed(list(probe_memory(loop, Told(1))))[0].reserve
        first, second = probed(list(probe_memory(loop, Told(10 * 2**30 - reserve + 1, 9 * 2**30))))
        assert first.fit is not None
        assert (first.fit.rows, first.fit.recompute, second.fit, loop.fit) == (None, "selective", None, first.fit)
        assert loop.model.decoder is not None
        keep = [policy.keeps_gate_up for policy in loop.model.decoder.stack.policies]
        assert (sum(keep), keep) == (first.fit.layers and first.fit.layers.keep, sorted(keep))


def test_where_much_is_left_layers_keep_more(tmp_path: Path) -> None:
    with loop_in(tmp_path, **ONE_KEEPS) as loop:
        first, second = probed(list(probe_memory(loop, Told(100 * MIB))))
        assert first.fit == MemoryFit(recompute="off", layers=LayerCounts(keep=LAYERS, recompute=0, offload=0))
        assert second.layers == f"layers: {LAYERS} keep everything"


def test_what_the_recipe_says_of_recompute_stays(tmp_path: Path) -> None:
    with loop_in(tmp_path, "acceleration.recompute=layers") as loop:
        (one,) = probed(list(probe_memory(loop, Told(100 * MIB))))
        assert (one.fit, loop.fit) == (None, MemoryFit())


def test_a_probe_that_runs_out_of_memory_is_taken_again_with_fewer_rows(tmp_path: Path) -> None:
    with loop_in(tmp_path) as loop, room_for(int(max(loop.data.train.lengths))):
        exceeded, *others = list(probe_memory(loop, Told(1)))
        assert isinstance(exceeded, MemoryExceeded)
        assert (exceeded.step, exceeded.fit) == (0, MemoryFit(rows=1))
        assert [one.rows for one in others if isinstance(one, MemoryProbed)] == [1]


def test_states_that_the_optimizer_makes_in_its_first_step_are_added(tmp_path: Path) -> None:
    full = ("adapter.method=full", "optimizer.learning_rate=1e-4")
    with loop_in(tmp_path, *full) as loop:
        (one,) = probed(list(probe_memory(loop, Told(1000))))
        assert one.measured == 1000 + loop.plan.memory.optimizer
