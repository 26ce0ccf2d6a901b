"""The watch over weights: what is trained moves, what is frozen does not, and anything else ends the run."""

import pytest
import torch
from torch import nn

from tui_tuner.engine.adapters import TrainedSet, TrainedTensor
from tui_tuner.engine.checks.movement import WeightWatch, watch_weights
from tui_tuner.errors import TrainingError


class _Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trained = nn.Parameter(torch.ones(4, 3))
        self.frozen = nn.Parameter(torch.ones(5, dtype=torch.bfloat16), requires_grad=False)


def watched(module: _Two, *, needs_all: bool = True) -> WeightWatch:
    one = TrainedTensor(name="trained", saved_names=("trained",), group="other", parameter=module.trained)
    return watch_weights(module, TrainedSet((one,), {}, {}), 0, needs_all=needs_all)


def test_the_smallest_move_is_seen() -> None:
    module = _Two()
    watch = watched(module)
    module.trained.data[3, 2] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    assert watch.check(3).unmoved == ()


def test_a_tensor_that_stays_ends_the_run() -> None:
    watch = watched(_Two())
    with pytest.raises(TrainingError, match="After step 3 trained is as it was, although it is trained"):
        watch.refuse(watch.check(3))


def test_a_frozen_tensor_that_moves_ends_the_run() -> None:
    module = _Two()
    watch = watched(module)
    module.frozen.data[0] = 1.0078125
    with pytest.raises(TrainingError, match="After step 1 frozen changed, which is frozen"):
        watch.refuse(watch.check(1))


def test_nothing_must_have_moved_before_the_third_step() -> None:
    watch = watched(_Two())
    assert watch.check(2).unmoved == ()


def test_parts_of_a_whole_model_may_stay() -> None:
    watch = watched(_Two(), needs_all=False)
    checked = watch.check(3)
    watch.refuse(checked)
    assert checked.unmoved == ("trained",)
