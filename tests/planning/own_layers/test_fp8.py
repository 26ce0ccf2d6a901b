"""A base in 8 bits is asked for, never chosen; refused before anything is loaded where it cannot be; counted."""

from pathlib import Path

import pytest

from tests.planning.recipes import CPU_ONLY, LLAMA_8B, machine, plan
from tui_tuner.errors import RecipeError
from tui_tuner.hardware import Hardware

FP8 = 'model.quantization="fp8"'
LINEAR = 6_979_321_856
"""Elements of the linear modules of LLAMA_8B's layers."""
OTHERS = 2 * (8_030_261_248 - LINEAR)
BIG, AMPERE = machine(140), machine(80, (8, 6))


def test_it_is_never_chosen_by_itself(tmp_path: Path) -> None:
    assert {plan(tmp_path, on=machine(free), config=LLAMA_8B).quantization for free in (8, 16, 140)} == {"none", "nf4"}


@pytest.mark.parametrize("on", [BIG, machine(24, (8, 9)), CPU_ONLY])
def test_it_goes_where_8_bits_are_multiplied_and_for_trials_on_a_processor(tmp_path: Path, on: Hardware) -> None:
    assert plan(tmp_path, FP8, on=on, config=LLAMA_8B).quantization == "fp8"


@pytest.mark.parametrize(
    ("override", "on", "reason"),
    [
        ("", AMPERE, "needs compute capability 8.9; NVIDIA Test has 8.6"),
        ("adapter.method=full", BIG, 'which method = "full" cannot train'),
        ("adapter.variant=dora", BIG, "whose norms need the base's own weights"),
        ("model.dtype=float32", BIG, "leave model.dtype on auto"),
        ("acceleration.kernels=off", BIG, "only our own decoder layers compute in; here they cannot: acceleration"),
    ],
)  # fmt: skip
def test_what_stands_against_it_is_said_before_loading(
    tmp_path: Path, override: str, on: Hardware, reason: str
) -> None:  # fmt: skip
    with pytest.raises(RecipeError, match=reason):
        plan(tmp_path, *filter(None, (FP8, override)), on=on, config=LLAMA_8B)


def test_modules_that_are_trained_in_full_are_not_held_in_8_bits(tmp_path: Path) -> None:
    settings = ('adapter.modules_to_save=["q_proj"]', 'adapter.targets=["down_proj"]')
    with pytest.raises(RecipeError, match="which fp8 holds in 8 bit"):
        plan(tmp_path, FP8, *settings, on=BIG, config=LLAMA_8B)


def test_odd_widths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="multiples of 16; this model has one of 14344"):
        plan(tmp_path, FP8, on=BIG, config={**LLAMA_8B, "intermediate_size": 14344})


def test_with_room_to_spare_weights_are_held_in_both_orders(tmp_path: Path) -> None:
    planned = plan(tmp_path, FP8, on=BIG, config=LLAMA_8B)
    assert planned.keeps_transposed
    assert planned.memory.weights == 2 * LINEAR + OTHERS


def test_what_layers_keep_comes_before_the_second_order(tmp_path: Path) -> None:
    planned = plan(tmp_path, FP8, "training.micro_batch_size=8", on=machine(30), config=LLAMA_8B)
    assert not planned.keeps_transposed
    assert planned.memory.weights == LINEAR + OTHERS
