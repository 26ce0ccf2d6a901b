"""A base in 4 bits is held in 16 as well, layer by layer, where the recipe gives memory that nothing else needs."""

from pathlib import Path

import pytest

from tests.planning.recipes import GIB, LLAMA_8B, machine, plan
from tui_tuner.plan import RunPlan

NF4 = ("model.quantization=nf4", "training.micro_batch_size=8")
LAYER = 2 * (4096 * (2 * 4096 + 2 * 1024 + 3 * 14336) + 4 * 64 * 64)
"""Bytes of the linear weights of one layer of LLAMA_8B in 16 bits, with the corners of their four buffers."""


def planned(folder: Path, budget_gib: float, *overrides: str) -> RunPlan:
    return plan(folder, *NF4, f"acceleration.vram={budget_gib}", *overrides, on=machine(140), config=LLAMA_8B)


def test_with_room_to_spare_all_layers_are_and_nothing_passes_through_a_scratch(tmp_path: Path) -> None:
    most, none = planned(tmp_path, 140), planned(tmp_path, 32.3)
    assert [(one.recompute, one.dequantized_layers) for one in (most, none)] == [("off", 32), ("off", 0)]
    assert most.memory.weights - none.memory.weights == 32 * LAYER
    assert most.memory.activations < none.memory.activations


def test_else_as_many_as_fit_though_the_estimate_were_a_twentieth_too_low(tmp_path: Path) -> None:
    one = planned(tmp_path, 39)
    assert 0 < one.dequantized_layers < 32
    assert 1.05 * one.memory.total <= 39 * GIB < 1.05 * (one.memory.total + LAYER)


def test_what_layers_keep_comes_first(tmp_path: Path) -> None:
    one = planned(tmp_path, 25)
    assert (one.recompute, one.dequantized_layers) == ("selective", 0)


@pytest.mark.parametrize("override", ["acceleration.kernels=off", "acceleration.recompute=layers", "adapter.rank=8"])
def test_only_our_own_layers_have_use_for_it_and_only_where_they_compute_nothing_again(
    tmp_path: Path, override: str
) -> None:
    assert (planned(tmp_path, 140, override).dequantized_layers > 0) == (override == "adapter.rank=8")


def test_without_a_budget_four_bits_take_little(tmp_path: Path) -> None:
    assert plan(tmp_path, *NF4, on=machine(140), config=LLAMA_8B).dequantized_layers == 0


def test_the_plan_says_so(tmp_path: Path) -> None:
    (decision,) = (one for one in planned(tmp_path, 140).decisions if one.field == "acceleration.vram")
    assert decision.reason == "has room for the weights of 32 of 32 layers in bfloat16 beside their 4 bits"
