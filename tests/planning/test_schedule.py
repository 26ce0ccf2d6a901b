import pytest

from tests.planning.recipes import facts, recipe
from tui_tuner.plan import StepSchedule
from tui_tuner.planning.schedule import (
    accumulation_for_tokens,
    learning_rate_factor,
    make_schedule,
    sequences_per_step,
)


def schedule_of(*overrides: str, rows: int = 1600, per_step: int = 16) -> StepSchedule:
    return make_schedule(recipe(*overrides), facts(rows), per_step, 1)


@pytest.mark.parametrize("kind", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 7])
def test_the_learning_rate_is_transformers_one_step_on_while_warming_up(kind: str, warmup: int) -> None:
    import torch
    from transformers import get_scheduler

    schedule = schedule_of(f"optimizer.schedule={kind}", f"optimizer.warmup_steps={warmup}", "training.max_steps=40")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    name = "constant_with_warmup" if kind == "constant" else kind
    theirs = get_scheduler(name, optimizer, warmup, 40).lr_lambdas[0]
    for step in range(1, 41):
        shifted = step if step <= warmup else step - 1
        assert learning_rate_factor(step, schedule) == pytest.approx(theirs(shifted), abs=1e-12)


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_no_step_is_spent_at_zero(kind: str) -> None:
    schedule = schedule_of(f"optimizer.schedule={kind}", "optimizer.warmup_steps=5", "training.max_steps=40")
    assert all(0 < learning_rate_factor(step, schedule) <= 1 for step in range(1, 41))


def test_epochs_count_a_last_step_that_is_not_full() -> None:
    assert schedule_of("training.epochs=2", rows=1601).total_steps == 2 * 101


def test_many_rows_are_seen_once_and_few_three_times() -> None:
    assert schedule_of(rows=16_000).total_steps == 1000
    assert schedule_of(rows=1600).total_steps == 300


@pytest.mark.parametrize(("steps", "warmup"), [(1, 0), (9, 0), (40, 2), (50, 5), (100, 5), (400, 20)])
def test_warm_up_is_five_percent_and_at_least_five_of_fifty(steps: int, warmup: int) -> None:
    assert schedule_of(f"training.max_steps={steps}").warmup_steps == warmup


@pytest.mark.parametrize(("rows", "sequences"), [(1, 1), (19, 1), (40, 4), (99, 8), (160, 16), (10**6, 16)])
def test_few_rows_make_smaller_steps_so_that_an_epoch_has_ten(rows: int, sequences: int) -> None:
    assert sequences_per_step(facts(rows)) == sequences


def test_packed_rows_count_as_rows() -> None:
    assert sequences_per_step(facts(8000, packing=True, num_sequences=2000)) == 4


def test_unknown_bins_are_estimated_from_the_tokens() -> None:
    schedule = make_schedule(recipe("training.epochs=1"), facts(1024, packing=True, max_length=2048), 1, 1)
    assert schedule.total_steps == 1024 * 200 // 2048


def test_tokens_per_step_set_the_accumulation() -> None:
    assert accumulation_for_tokens(8000, facts(), micro_batch_size=4) == 10


def test_a_run_is_looked_at_ten_times() -> None:
    schedule = schedule_of("training.max_steps=101", "training.save_every=7")
    assert (schedule.evaluate_every, schedule.save_every) == (11, 7)
