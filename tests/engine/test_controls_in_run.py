"""What a person asks of a running run happens: at the next step boundary, once, and in the journal."""

import signal
import threading
from pathlib import Path

import pytest
import torch

from tests.engine.tiny_runs import Done, recipe_in, train
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.events import (
    CheckpointSaved,
    ControlApplied,
    EvalFinished,
    Outcome,
    Phase,
    PhaseStarted,
    ProofFinished,
    RunFailed,
    RunFinished,
    SampleGenerated,
    StepFinished,
    TrainEvent,
    WarningRaised,
)
from tui_tuner.journal import is_alive, read_events

HELD_OUT = "data.evaluation_fraction=0.2"


def train_asking(folder: Path, when: int | Phase, ask: str, *overrides: str, value: float | None = None) -> Done:
    """A run of six steps in which `ask` is called on the controls when a step is done or a phase begins."""
    controls = Controls()
    recipe = recipe_in(folder, "training.max_steps=6", *overrides)
    events: list[TrainEvent] = []
    for event in run(recipe, controls):
        events.append(event)
        is_step = isinstance(event, StepFinished) and event.step == when
        if is_step or (isinstance(event, PhaseStarted) and event.phase is when):
            getattr(controls, ask)(*([] if value is None else [value]))
    return Done(folder / "runs" / "one", tuple(events))


def test_stop_finishes_the_step_saves_and_proves(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 3, "stop")
    last = done.events[-1]
    assert isinstance(last, RunFinished)
    assert (last.outcome, last.step, len(done.losses)) == (Outcome.STOPPED, 3, 3)
    assert done.of(ProofFinished)[0].passed
    assert (done.folder / "adapter" / "adapter_model.safetensors").is_file()
    assert done.of(ControlApplied)[-1].action == "stop"


def test_stop_measures_what_is_saved_exact_match_included(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 3, "stop", HELD_OUT, "training.exact_match_rows=2", "training.evaluate_every=3")
    assert [(one.step, "exact_match" in one.metrics) for one in done.of(EvalFinished)][-1] == (3, True)
    assert {one.step for one in done.of(SampleGenerated)} == {0, 3}


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.BASELINE])
def test_a_stop_before_the_first_step_ends_the_run_without_an_adapter(tmp_path: Path, phase: Phase) -> None:
    done = train_asking(tmp_path, phase, "stop", HELD_OUT)
    last = done.events[-1]
    assert isinstance(last, RunFinished)
    assert (last.outcome, last.step, last.adapter) == (Outcome.STOPPED, 0, "")
    assert not done.of(EvalFinished)
    assert not (done.folder / "adapter").exists()


def test_a_stop_while_the_base_is_measured_leaves_out_its_answers(tmp_path: Path) -> None:
    controls = Controls()
    events = []
    for event in run(recipe_in(tmp_path, HELD_OUT), controls):
        events.append(event)
        if isinstance(event, EvalFinished):
            controls.stop()
    done = Done(tmp_path / "runs" / "one", tuple(events))
    assert (len(done.of(EvalFinished)), done.of(SampleGenerated)) == (1, [])


def test_abort_ends_with_run_failed_and_keeps_what_was_saved_before(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 3, "abort", "training.save_every=2")
    last = done.events[-1]
    assert isinstance(last, RunFailed)
    assert (last.error, last.step) == ("Aborted", 3)
    assert list(read_events(done.folder))[-1] == last
    assert not (done.folder / "adapter").exists()
    assert [path.name for path in (done.folder / "checkpoints").iterdir()] == ["step-000002"]


def test_leaving_the_events_early_is_an_abort(tmp_path: Path) -> None:
    events = run(recipe_in(tmp_path), Controls())
    for event in events:
        if isinstance(event, StepFinished):
            break
    events.close()  # type: ignore[attr-defined]
    last = list(read_events(tmp_path / "runs" / "one"))[-1]
    assert isinstance(last, RunFailed)
    assert last.error == "Aborted"
    assert not is_alive(tmp_path / "runs" / "one")


def test_a_keyboard_interrupt_inside_the_engine_is_noted_as_an_abort(tmp_path: Path) -> None:
    controls = Controls()
    events = run(recipe_in(tmp_path), controls)
    with pytest.raises(KeyboardInterrupt):
        for event in events:
            if isinstance(event, ControlApplied) and event.action == "pause":
                threading.Timer(0.1, signal.raise_signal, [signal.SIGINT]).start()
            if isinstance(event, StepFinished):
                controls.pause()
    last = list(read_events(tmp_path / "runs" / "one"))[-1]
    assert isinstance(last, RunFailed)
    assert last.error == "Aborted"


def test_pause_waits_for_resume_from_another_thread(tmp_path: Path) -> None:
    controls = Controls()
    events: list[TrainEvent] = []
    for event in run(recipe_in(tmp_path, "training.max_steps=3"), controls):
        events.append(event)
        if isinstance(event, StepFinished) and event.step == 1:
            controls.pause()
        if isinstance(event, ControlApplied) and event.action == "pause":
            threading.Timer(0.3, controls.resume).start()
    done = Done(tmp_path / "runs" / "one", tuple(events))
    paused, resumed = done.of(ControlApplied)
    assert (paused.action, resumed.action, paused.step, resumed.step) == ("pause", "resume", 1, 1)
    assert resumed.time - paused.time > 0.25
    assert len(done.losses) == 3


def test_a_pause_changes_nothing_of_what_is_trained(tmp_path: Path) -> None:
    plain = train(tmp_path, "training.max_steps=2", "adapter.dropout=0.2", "output.name=plain")
    controls = Controls()
    controls.pause()
    controls.evaluate_now()
    controls.sample_now()
    controls.save_now()
    controls.resume()
    asked = train(tmp_path, "training.max_steps=2", "adapter.dropout=0.2", controls=controls)
    assert asked.losses == plain.losses
    assert all(torch.equal(tensor, plain.adapter[name]) for name, tensor in asked.adapter.items())


def test_save_now_saves_at_this_step(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 2, "save_now")
    assert [one.step for one in done.of(CheckpointSaved)] == [2, 6]


def test_evaluate_now_evaluates_at_this_step(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 2, "evaluate_now", HELD_OUT)
    assert [one.step for one in done.of(EvalFinished)] == [0, 2, 6]
    assert {one.step for one in done.of(SampleGenerated)} == {0, 6}


def test_evaluate_now_without_held_out_rows_says_so(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 2, "evaluate_now")
    assert done.of(WarningRaised)[-1].message == "No rows are held out to evaluate on."


def test_sample_now_answers_at_this_step(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 2, "sample_now", HELD_OUT)
    assert {one.step for one in done.of(SampleGenerated)} == {0, 2, 6}


def test_a_new_learning_rate_factor_holds_from_the_next_step(tmp_path: Path) -> None:
    done = train_asking(tmp_path, 2, "set_learning_rate", "optimizer.schedule=constant", value=0.5)
    assert [one.learning_rate for one in done.of(StepFinished)] == pytest.approx([0.01] * 2 + [0.005] * 4)
    (applied,) = done.of(ControlApplied)
    assert (applied.action, applied.value, applied.step) == ("learning_rate", 0.5, 2)
