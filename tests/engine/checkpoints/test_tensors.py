"""An optimizer that was saved and loaded moves weights just as one that was not, whatever its states are made of."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.engine.tiny_runs import recipe_in
from tui_tuner.engine.adapters import TrainedSet, TrainedTensor
from tui_tuner.engine.checkpoints.tensors import load_tensors, save_tensors, tensor_bytes
from tui_tuner.engine.optimizers import GroupedOptimizer
from tui_tuner.errors import AdapterError
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import make_plan

SIZE = 400, 300
"""More than bitsandbytes keeps unquantised, and more than it leaves unpaged."""


def plan_with(folder: Path, name: str) -> RunPlan:
    plan = make_plan(recipe_in(folder), probe_hardware())
    optimizer = plan.recipe.optimizer.model_copy(update={"name": name})
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"optimizer": optimizer})})


def trained_set(num_tensors: int = 2) -> TrainedSet:
    torch.manual_seed(3)
    parameters = [nn.Parameter(torch.randn(SIZE)) for _ in range(num_tensors)]
    return TrainedSet(
        tuple(
            TrainedTensor(name=f"layer.{number}.lora_B", saved_names=(f"b{number}",), group="lora_B", parameter=one)
            for number, one in enumerate(parameters)
        ),
        {},
        {},
    )


def step(trained: TrainedSet, optimizer: GroupedOptimizer, number: int) -> None:
    torch.manual_seed(number)
    for one in trained.tensors:
        one.parameter.grad = torch.randn(SIZE)
    optimizer.step(0.7)


@pytest.mark.parametrize("name", ["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit"])
def test_steps_after_loading_are_those_without(tmp_path: Path, name: str) -> None:
    plan = plan_with(tmp_path, name)
    ours, theirs = trained_set(), trained_set()
    before, after = GroupedOptimizer(ours, plan), GroupedOptimizer(theirs, plan)
    step(ours, before, 1)
    numbers = save_tensors(tmp_path, ours, before, is_full=True)
    load_tensors(tmp_path, theirs, after, numbers)
    for number in (2, 3):
        step(ours, before, number)
        step(theirs, after, number)
    assert all(
        torch.equal(one.parameter, other.parameter) for one, other in zip(ours.tensors, theirs.tensors, strict=True)
    )


def test_a_checkpoint_before_the_first_step_has_no_moments(tmp_path: Path) -> None:
    plan, trained = plan_with(tmp_path, "adamw"), trained_set()
    optimizer = GroupedOptimizer(trained, plan)
    load_tensors(tmp_path, trained, optimizer, save_tensors(tmp_path, trained, optimizer, is_full=True))
    assert not optimizer.state().tensors
    assert tensor_bytes(trained, optimizer) == 2 * 4 * 400 * 300


def test_moments_of_other_tensors_are_refused(tmp_path: Path) -> None:
    plan, trained, other = plan_with(tmp_path, "adamw"), trained_set(), trained_set(3)
    optimizer = GroupedOptimizer(trained, plan)
    step(trained, optimizer, 1)
    numbers = save_tensors(tmp_path, trained, optimizer, is_full=True)
    with pytest.raises(AdapterError, match="is not of the tensors that are trained"):
        load_tensors(tmp_path, other, GroupedOptimizer(other, plan), numbers)
