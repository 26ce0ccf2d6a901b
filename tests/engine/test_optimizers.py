"""Groups, clipping and steps of the optimizer."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.engine.tiny_runs import recipe_in
from tui_tuner.engine.adapters import Group, TrainedSet, TrainedTensor
from tui_tuner.engine.optimizers import GroupedOptimizer
from tui_tuner.hardware import probe_hardware
from tui_tuner.planning.run_plan import make_plan

GROUPS: tuple[Group, ...] = ("lora_A", "lora_B", "magnitude", "embedding", "head", "norm", "other")
SETTINGS = ("optimizer.learning_rate=0.1", "optimizer.weight_decay=0.5", "optimizer.epsilon=0.000001")


def trained_set() -> TrainedSet:
    """One tensor of ones for each group, with gradients of one."""
    tensors = []
    for group in GROUPS:
        parameter = nn.Parameter(torch.ones(2, 2))
        parameter.grad = torch.ones(2, 2)
        tensors.append(TrainedTensor(name=group, saved_names=(group,), group=group, parameter=parameter))
    return TrainedSet(tuple(tensors), {}, {})


def optimizer_in(folder: Path, trained: TrainedSet, *overrides: str) -> GroupedOptimizer:
    return GroupedOptimizer(trained, make_plan(recipe_in(folder, *SETTINGS, *overrides), probe_hardware()))


def test_clipping_returns_the_norm_before_it(tmp_path: Path) -> None:
    trained = trained_set()
    norm = optimizer_in(tmp_path, trained, "optimizer.max_grad_norm=0.5").clip()
    assert norm == pytest.approx(28**0.5)
    clipped = torch.cat([one.parameter.grad.flatten() for one in trained.tensors if one.parameter.grad is not None])
    assert clipped.norm().item() == pytest.approx(0.5, abs=1e-5)


def test_a_norm_of_zero_turns_clipping_off(tmp_path: Path) -> None:
    trained = trained_set()
    assert optimizer_in(tmp_path, trained, "optimizer.max_grad_norm=0").clip() == pytest.approx(28**0.5)
    assert all(torch.equal(one.parameter.grad, torch.ones(2, 2)) for one in trained.tensors)  # type: ignore[arg-type]


def test_each_group_moves_at_its_own_rate_times_the_factor(tmp_path: Path) -> None:
    trained = trained_set()
    rates = ("optimizer.embedding_learning_rate=0.02", "optimizer.norm_learning_rate=0.04")
    optimizer = optimizer_in(tmp_path, trained, *rates, "optimizer.lora_plus_ratio=4", "optimizer.weight_decay=0")
    optimizer.step(0.5)
    moved = {one.group: 1 - one.parameter[0, 0].item() for one in trained.tensors}
    # Adam's first step is the sign of the gradient times the rate.
    expected = {"lora_A": 0.05, "lora_B": 0.2, "magnitude": 0.05, "embedding": 0.01, "head": 0.01}
    assert moved == pytest.approx(expected | {"norm": 0.02, "other": 0.02}, rel=1e-4)


def test_norms_and_magnitudes_are_not_pulled_towards_zero(tmp_path: Path) -> None:
    trained = trained_set()
    for one in trained.tensors:
        one.parameter.grad = torch.zeros(2, 2)
    optimizer_in(tmp_path, trained).step(1.0)
    kept = {one.group for one in trained.tensors if one.parameter[0, 0].item() == 1.0}
    assert kept == {"norm", "magnitude"}


def test_a_step_drops_the_gradients(tmp_path: Path) -> None:
    trained = trained_set()
    optimizer_in(tmp_path, trained).step(1.0)
    assert all(one.parameter.grad is None for one in trained.tensors)


def test_groups_count_every_tensor(tmp_path: Path) -> None:
    groups = optimizer_in(tmp_path, trained_set()).groups
    assert [(group.name, group.num_tensors, group.num_parameters) for group in groups] == [
        (group, 1, 4) for group in GROUPS
    ]
