"""A loss that jumps is told at once and once; the ups and downs of batches are not."""

import random

from tui_tuner.engine.checks.loss_watch import FEWEST, LossWatch
from tui_tuner.events import StepFinished, WarningRaised


def warnings(losses: list[float]) -> list[WarningRaised | None]:
    watch = LossWatch()
    return [
        watch.take(
            StepFinished(
                step=step, loss=loss, grad_norm=9.5, learning_rate=0.1, tokens=1, trained_tokens=1, seconds=1.0, epoch=0
            )
        )
        for step, loss in enumerate(losses, start=1)
    ]


def usual(count: int) -> list[float]:
    draw = random.Random(3)
    return [2.0 + draw.gauss(0.0, 0.2) - step / 100 for step in range(count)]


def test_a_jump_is_told_at_its_step_with_both_losses() -> None:
    told = warnings([*usual(30), 9.0])
    assert told[:-1] == [None] * 30
    assert told[-1] is not None
    assert "The loss jumped at step 31: 9.0000, where 1." in told[-1].message


def test_a_long_noisy_run_is_not_talked_about() -> None:
    assert not any(warnings(usual(100)))


def test_a_loss_near_zero_may_rise_a_little() -> None:
    assert not any(warnings([*([0.012] * 30), 0.046]))


def test_a_run_that_has_gone_wrong_is_told_seldom() -> None:
    assert sum(warning is not None for warning in warnings([*usual(30), *[9.0, 80.0] * 8])) == 1


def test_the_first_steps_tell_nothing() -> None:
    assert not any(warnings([2.0] * (FEWEST - 1) + [50.0]))
