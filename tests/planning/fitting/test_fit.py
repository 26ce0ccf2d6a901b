"""What a run goes on with after a measurement, for an 8B model: the fastest mix in which it then fits."""

from pathlib import Path

import pytest

from tests.planning.recipes import GIB, LLAMA_8B, facts, machine, plan
from tui_tuner.plan import LayerCounts, MemoryFit, RunPlan
from tui_tuner.planning.fitting.fit import expected_peak, fit_words, fitted, refit, with_smaller_way

ROWS, LENGTH = 8, 1024
TOKENS = ROWS * LENGTH


def planned(folder: Path, free: float, *overrides: str) -> RunPlan:
    asked = ("model.quantization=none", f"training.micro_batch_size={ROWS}", *overrides)
    return plan(folder, *asked, on=machine(free), config=LLAMA_8B, data=facts(max_length=LENGTH))


def keep(fit: MemoryFit) -> int:
    assert fit.layers is not None
    return fit.layers.keep


def test_what_took_as_much_as_expected_stays(tmp_path: Path) -> None:
    assert refit(planned(tmp_path, 32), MemoryFit(), ROWS, TOKENS, above=0) == MemoryFit()


@pytest.mark.parametrize("above", [-4 * GIB, -1 * GIB, GIB, 3 * GIB])
def test_as_many_layers_keep_everything_as_the_measurement_lets(tmp_path: Path, above: int) -> None:
    before = planned(tmp_path, 32)
    fit = refit(before, MemoryFit(), ROWS, TOKENS, above)
    assert before.layers is not None
    assert (keep(fit) > before.layers.keep) == (above < 0)
    for more, does_fit in ((0, True), (1, False)):
        layers = LayerCounts(keep=keep(fit) + more, recompute=32 - keep(fit) - more, offload=0)
        candidate = MemoryFit(recompute="selective", layers=layers)
        assert (expected_peak(before, candidate, ROWS, TOKENS).total + above <= 32 * GIB) == does_fit


def test_shorter_batches_than_planned_leave_room_for_layers_that_keep_more(tmp_path: Path) -> None:
    before = planned(tmp_path, 32)
    assert keep(refit(before, MemoryFit(), ROWS, TOKENS // 2, above=0)) == 32


def test_where_no_mix_fits_the_rows_are_halved(tmp_path: Path) -> None:
    before = planned(tmp_path, 20)
    fit = refit(before, MemoryFit(), ROWS, TOKENS, above=2 * GIB)
    assert fit.rows is not None
    assert fit.rows < ROWS
    assert expected_peak(before, fit, fit.rows, fit.rows * LENGTH).total + 2 * GIB <= 20 * GIB


def test_what_the_recipe_fixes_is_not_moved(tmp_path: Path) -> None:
    fixed = planned(tmp_path, 80, "acceleration.recompute=layers")
    assert refit(fixed, MemoryFit(), ROWS, TOKENS, above=-GIB) == MemoryFit()


def test_a_fit_replaces_what_the_plan_says(tmp_path: Path) -> None:
    before = planned(tmp_path, 80)
    fit = MemoryFit(rows=2, recompute="layers", layers=LayerCounts(keep=1, recompute=31, offload=0))
    after = fitted(before, fit)
    assert (after.schedule.micro_batch_size, after.recompute, after.layers) == (2, "layers", fit.layers)
    assert fitted(before, MemoryFit()) == before


def test_layers_give_way_by_halves_until_all_but_the_last_wait_on_the_host(tmp_path: Path) -> None:
    before, fit = planned(tmp_path, 80), MemoryFit()
    seen = []
    while (following := with_smaller_way(before, fit)) is not None:
        fit = following
        assert fit.layers is not None
        seen.append((fit.layers.keep, fit.layers.recompute, fit.layers.offload))
    assert seen[:5] == [(16, 16, 0), (8, 24, 0), (4, 28, 0), (2, 30, 0), (1, 31, 0)]
    assert seen[5:] == [(1, 15, 16), (1, 7, 24), (1, 3, 28), (1, 1, 30), (1, 0, 31), (0, 1, 31), (0, 1, 31)]
    assert fit.layers is not None and fit.layers.sends == "input"


def test_layers_go_to_the_host_only_as_far_as_it_has_room(tmp_path: Path) -> None:
    before = planned(tmp_path, 80)
    memory = before.memory.model_copy(update={"host_available": 2 * GIB})
    small, fit = before.model_copy(update={"memory": memory}), MemoryFit()
    while (following := with_smaller_way(small, fit)) is not None:
        fit = following
    assert fit.layers is not None and fit.layers.sends == "input"
    assert expected_peak(small, fit, ROWS, TOKENS).host <= 0.75 * 2 * GIB


def test_a_fit_is_told_in_words(tmp_path: Path) -> None:
    fit = MemoryFit(rows=1, parts=2, recompute="layers", layers=LayerCounts(keep=1, recompute=31, offload=0))
    words = "micro-batches of 1 sequence; packed sequences in 2 parts; layers: 1 keep everything, 31 compute again"
    assert fit_words(planned(tmp_path, 80), fit) == words
