"""What was learned of the memory, and how long the first step took, as they are drawn; and the budget's option."""

import json

import pytest
import typer

from tests.cli.terminal import drawn
from tests.plans import GIB, NOON, scripted_events
from tui_tuner.cli.options import with_vram
from tui_tuner.cli.views.lines import lines_of
from tui_tuner.cli.views.run import run_view
from tui_tuner.cli.views.run_json import run_json
from tui_tuner.events import MemoryExceeded, MemoryProbed, RunState, StepFinished, event_from_json
from tui_tuner.journal import RunSummary
from tui_tuner.plan import LayerCounts, MemoryFit

PROBED = MemoryProbed(
    time=NOON + 31, tokens=8192, rows=4, expected=24 * GIB, measured=25 * GIB, reserve=GIB, available=40 * GIB,
    layers="layers: 1 keep everything, 31 compute again", seconds=0.9,
)  # fmt: skip
EXCEEDED = MemoryExceeded(
    time=NOON + 40, step=3, words="micro-batches of 2 sequences",
    fit=MemoryFit(rows=2, recompute="layers", layers=LayerCounts(keep=1, recompute=31, offload=0)),
)  # fmt: skip
SUMMARY = RunSummary(id="20260801-llama", folder="runs/20260801-llama", state="completed", started=1.0, updated=99.0)


def state_with_both() -> RunState:
    state = RunState()
    for event in scripted_events(steps=4):
        if isinstance(event, StepFinished) and event.step == 1:
            state = state.after(PROBED)
        state = state.after(event)
    return state.after(EXCEEDED)


@pytest.mark.parametrize("event", [PROBED, EXCEEDED])
def test_both_events_read_back_as_themselves(event: MemoryProbed | MemoryExceeded) -> None:
    assert event_from_json(event.model_dump_json()) == event


def test_the_probe_is_a_line_with_what_was_expected() -> None:
    (line,) = lines_of(RunState(), PROBED)
    text = " ".join(drawn(line, 200).split())
    assert "25.0 GiB at the peak of 8,192 tokens · 24.0 GiB expected (+4.2%)" in text


def test_a_step_that_ran_out_is_a_warning() -> None:
    (line,) = lines_of(RunState(), EXCEEDED)
    text = " ".join(drawn(line, 200).split())
    assert "step 3 ran out; from here on micro-batches of 2 sequences" in text


def test_show_tells_of_memory_and_of_the_first_step() -> None:
    text = " ".join(drawn(run_view(SUMMARY, state_with_both()), 200).split())
    assert "first step 18 s after loading began" in text
    assert "25.0 GiB at the peak of 8,192 tokens" in text
    assert "ran out at step 3 · from there on micro-batches of 2 sequences" in text


def test_the_first_step_is_counted_without_the_looks_at_the_base() -> None:
    state = state_with_both()
    # Loading took 16.4 s; the base was looked at from 20 to 30; the first step ended at 32.
    assert state.first_step_seconds == pytest.approx(16.4 + 2.0)
    assert json.loads(run_json(SUMMARY, state))["first_step_seconds"] == pytest.approx(18.4)


@pytest.mark.parametrize(
    ("size", "gib"), [("24GiB", 24), ("24", 24), ("23.5 GB", 23.5e9 / GIB), ("8192MiB", 8), ("40gib", 40)]
)
def test_a_budget_is_a_size_with_or_without_its_unit(size: str, gib: float) -> None:
    (override,) = with_vram(None, size)
    name, _, value = override.partition("=")
    assert name == "acceleration.vram"
    assert float(value) == pytest.approx(gib, rel=1e-5)


@pytest.mark.parametrize("size", ["", "24 apples", "-3GiB", "0", "GiB"])
def test_what_is_no_size_is_refused(size: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no size"):
        with_vram(["adapter.rank=8"], size)


def test_without_a_budget_the_overrides_stay() -> None:
    assert with_vram(["adapter.rank=8"], None) == ["adapter.rank=8"]
