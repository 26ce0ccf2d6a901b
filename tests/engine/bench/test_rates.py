"""Tokens per second from single steps."""

from tui_tuner.engine.bench.rates import tokens_per_second


def test_equal_steps_count_by_their_median() -> None:
    assert tokens_per_second([1.0, 1.0, 9.0], [100, 100, 100]) == 100


def test_unequal_steps_count_together() -> None:
    assert tokens_per_second([1.0, 3.0], [100, 700]) == 200


def test_no_steps_have_no_speed() -> None:
    assert tokens_per_second([], []) is None
