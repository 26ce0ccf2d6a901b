"""A run is drawn as it goes on, and its end becomes an exit code."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from tests.plans import scripted_events
from tui_tuner.cli.signals import Interruption, stop_on_signals
from tui_tuner.cli.watching.following import follow_events
from tui_tuner.cli.watching.forms import JsonForm, PlainForm, RunForm
from tui_tuner.controls import Controls
from tui_tuner.errors import TrainingError
from tui_tuner.events import RunFailed, RunState, TrainEvent, event_from_json


class Remembering:
    """A form that notes what it is shown, and may fail like a closed pipe."""

    def __init__(self, fails: bool = False) -> None:
        self.states: list[RunState] = []
        self.notices: list[str] = []
        self._fails = fails

    def show(self, state: RunState, _event: TrainEvent) -> None:
        self.states.append(state)
        if self._fails:
            raise BrokenPipeError

    def notice(self, text: str) -> None:
        self.notices.append(text)


def follow(events: Iterator[TrainEvent], form: RunForm, controls: Controls | None = None) -> int:
    controls = controls or Controls()
    with stop_on_signals(controls, form.notice) as interruption:
        return follow_events(events, controls, form, interruption)


def until_stopped(controls: Controls, *signals: signal.Signals) -> Iterator[TrainEvent]:
    """Events that end when the controls say so, with signals arriving on the way."""
    for number, event in enumerate(scripted_events()):
        if number == 10:
            for one in signals:
                os.kill(os.getpid(), one)
        if controls.is_stopping:
            return
        yield event


def test_a_good_run_ends_with_zero_and_the_whole_state() -> None:
    form = Remembering()
    assert follow(scripted_events(), form) == 0
    assert form.states[-1].finished is not None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_one_signal_stops_and_says_so(number: signal.Signals, code: int) -> None:
    controls, form = Controls(), Remembering()
    assert follow(until_stopped(controls, number), form, controls) == code
    assert not controls.is_aborting
    assert form.notices == ["Stopping after this step and saving. Ctrl-C again ends at once."]


def test_a_second_ctrl_c_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    controls, form = Controls(), Remembering()
    assert follow(until_stopped(controls, signal.SIGINT, signal.SIGINT), form, controls) == 130
    assert controls.is_aborting
    assert "Ending at once" in capsys.readouterr().err


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    follow(scripted_events(), Remembering())
    assert signal.getsignal(signal.SIGINT) == before


def test_an_ignored_hang_up_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        controls = Controls()
        assert follow(until_stopped(controls, signal.SIGHUP), Remembering(), controls) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_pipe_that_closes_stops_the_run_instead_of_killing_it() -> None:
    controls = Controls()
    assert follow(until_stopped(controls), Remembering(fails=True), controls) == 129


def test_an_error_of_the_run_reaches_the_caller() -> None:
    def fails() -> Iterator[TrainEvent]:
        yield RunFailed(error="TrainingError", message="The loss became NaN.")
        raise TrainingError("The loss became NaN.")

    with pytest.raises(TrainingError):
        follow(fails(), Remembering())


def test_a_bug_in_the_run_names_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> Iterator[TrainEvent]:
        yield next(scripted_events())
        yield RunFailed(error="KeyError", message="x")
        raise KeyError("x")

    assert follow(fails(), Remembering()) == 70
    assert "the traceback in runs/20260801-120000-llama/log.txt" in capsys.readouterr().err


def test_leaving_early_closes_the_run() -> None:
    closed = []

    def events() -> Iterator[TrainEvent]:
        try:
            yield from scripted_events()
        finally:
            closed.append(True)

    class Impatient(Remembering):
        def show(self, _state: RunState, _event: TrainEvent) -> None:
            raise KeyboardInterrupt

    assert follow_events(events(), Controls(), Impatient(), Interruption()) == 130
    assert closed == [True]


def test_json_is_exactly_the_events(capsys: pytest.CaptureFixture[str]) -> None:
    follow(scripted_events(), JsonForm())
    captured = capsys.readouterr()
    assert [event_from_json(line) for line in captured.out.splitlines()] == list(scripted_events())
    assert captured.err == ""
    assert all(isinstance(json.loads(line), dict) for line in captured.out.splitlines())


def test_plain_lines_have_no_escape_codes_and_one_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    follow(scripted_events(), PlainForm())
    lines = capsys.readouterr().out.splitlines()
    assert not any("\x1b" in line or line != line.rstrip() for line in lines)
    assert "  held out   step 40      loss 1.0343 · accuracy 61.0 % · exact 90.0 % · ✓ best" in lines
    assert sum(line.startswith("  training   step") for line in lines) == 21
