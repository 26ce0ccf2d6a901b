"""What a person asks for reaches the engine once, in order, and from anywhere."""

import math
import signal
import threading
import time
from types import FrameType
from typing import get_args

import pytest

from tui_tuner.controls import ControlAction, ControlRequest, Controls


def actions(controls: Controls) -> list[str]:
    return [request.action for request in controls.poll()]


def test_wishes_arrive_in_order_and_once() -> None:
    controls = Controls()
    for ask in (controls.pause, controls.save_now, controls.evaluate_now, controls.sample_now, controls.resume):
        ask()
    assert actions(controls) == ["pause", "save", "evaluate", "sample", "resume"]
    assert actions(controls) == []


def test_the_same_wish_twice_in_a_row_counts_once() -> None:
    controls = Controls()
    controls.save_now()
    controls.save_now()
    controls.set_learning_rate(0.5)
    controls.set_learning_rate(0.25)
    assert controls.poll() == (
        ControlRequest("save"), ControlRequest("learning_rate", 0.5), ControlRequest("learning_rate", 0.25),
    )  # fmt: skip


def test_stop_cannot_be_taken_back() -> None:
    controls = Controls()
    controls.stop()
    controls.resume()
    assert actions(controls) == ["stop", "resume"]
    assert controls.is_stopping
    assert not controls.is_aborting


def test_abort_stops_as_well() -> None:
    controls = Controls()
    controls.abort()
    assert controls.is_aborting
    assert controls.is_stopping
    assert actions(controls) == ["abort"]


@pytest.mark.parametrize("action", get_args(ControlAction))
def test_a_wish_that_comes_as_a_value_is_passed_on(action: ControlAction) -> None:
    controls = Controls()
    request = ControlRequest(action, 0.5 if action == "learning_rate" else None)
    controls.ask(request)
    assert controls.poll() == (request,)


@pytest.mark.parametrize("factor", [0.0, -1.0, math.nan, math.inf])
def test_a_learning_rate_factor_is_a_number_above_zero(factor: float) -> None:
    with pytest.raises(ValueError, match="a number above 0"):
        Controls().set_learning_rate(factor)


def test_wait_ends_when_another_thread_asks() -> None:
    controls = Controls()
    threading.Timer(0.02, controls.resume).start()
    assert controls.wait(timeout=5.0)
    assert controls.wait(timeout=5.0)
    assert actions(controls) == ["resume"]


def test_wait_gives_up_after_its_time() -> None:
    began = time.monotonic()
    assert not Controls().wait(timeout=0.02)
    assert time.monotonic() - began < 1.0


def test_a_signal_handler_may_ask_while_the_engine_polls() -> None:
    controls = Controls()

    def ask(_number: int, _frame: FrameType | None) -> None:
        controls.save_now()

    before = signal.signal(signal.SIGALRM, ask)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)
    try:
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            controls.poll()
            controls.wait(timeout=0.001)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
