"""Events survive their JSON, and a run's state is the sum of its events."""

import math

import pytest
from pydantic import ValidationError

from tests.plans import llama_plan, scripted_events, step_finished
from tui_tuner.events import (
    MAX_CURVE_POINTS,
    ControlApplied,
    Curve,
    Outcome,
    Phase,
    RunFailed,
    RunResumed,
    RunState,
    TrainEvent,
    event_from_json,
)

EVENTS = tuple(scripted_events(steps=30))


def fold(*events: TrainEvent) -> RunState:
    state = RunState()
    for event in events:
        state = state.after(event)
    return state


@pytest.mark.parametrize("event", {event.kind: event for event in EVENTS}.values(), ids=lambda event: str(event.kind))
def test_every_kind_of_event_reads_back_as_itself(event: TrainEvent) -> None:
    line = event.model_dump_json()
    assert "\n" not in line
    assert event_from_json(line) == event


@pytest.mark.parametrize("line", ["", "{}", "[1]", '{"kind":"nonsense"}', '{"kind":"step"}', "\x00"])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(ValidationError):
        event_from_json(line)


def test_a_field_of_a_later_version_is_ignored() -> None:
    line = step_finished(3).model_dump_json().replace('"kind"', '"added_later":1,"kind"')
    assert event_from_json(line) == step_finished(3)


def test_the_state_of_a_whole_run() -> None:
    state = fold(*EVENTS)
    assert (state.step, state.total_steps, state.phase) == (30, 30, Phase.PROVING)
    assert state.finished is not None and state.finished.outcome == Outcome.COMPLETED
    assert state.best_eval is not None and state.best_eval.step == 30
    assert (len(state.evals), len(state.checkpoints), len(state.samples), len(state.warnings)) == (4, 3, 8, 1)
    assert state.tokens_per_second == pytest.approx(32_768 / 1.78)


def test_speed_and_time_left_follow_the_recent_steps() -> None:
    slow = step_finished(1).model_copy(update={"seconds": 60.0})
    state = fold(EVENTS[0], slow, *(step_finished(step) for step in range(2, 26)))
    assert state.recent_tokens_per_second == pytest.approx(32_768 / 1.78)
    assert state.seconds_left == pytest.approx(5 * 1.78)


def test_the_schedule_is_the_planned_one_until_the_data_is_ready() -> None:
    assert fold(EVENTS[0]).total_steps == llama_plan(steps=30).schedule.total_steps
    assert fold(*EVENTS[:5]).data is not None


def test_progress_belongs_to_its_phase() -> None:
    assert fold(*EVENTS[:3]).progress is not None
    assert fold(*EVENTS[:5]).progress is None


def test_pause_lasts_until_resume() -> None:
    paused = fold(ControlApplied(step=1, action="pause"), ControlApplied(step=1, action="save"))
    assert paused.paused
    assert not paused.after(ControlApplied(step=1, action="resume")).paused


def test_a_failure_is_kept() -> None:
    failure = RunFailed(error="TrainingError", message="The loss became NaN at step 3.", step=3)
    assert fold(failure).failed == failure


def test_folding_leaves_the_state_before_as_it_was() -> None:
    before = fold(*EVENTS[:20])
    points = before.losses.points
    before.after(step_finished(21))
    assert before.losses.points == points


def test_folding_many_events_at_once_is_folding_one_after_the_other() -> None:
    events = (*EVENTS[:20], *(step_finished(step) for step in range(3000)), *EVENTS[20:])
    assert RunState().after_all(events) == fold(*events)
    assert RunState().after_all(events[:2000]).after_all(events[2000:]) == fold(*events)


def test_a_curve_stays_small_and_keeps_its_ends() -> None:
    curve = Curve()
    for step in range(10_000):
        curve = curve.with_point(step, float(step))
    assert MAX_CURVE_POINTS / 2 <= len(curve.points) <= MAX_CURVE_POINTS
    assert curve.points[0] == (0, 0.0)
    assert curve.points[-1][0] > 10_000 - 2 * curve.stride
    assert all(math.isclose(step, value) for step, value in curve.points)


RESUMED = RunResumed(folder="runs/moved", step=20, checkpoint="runs/moved/checkpoints/step-20", superseded_from=1)


def test_a_resumed_run_stands_where_its_checkpoint_was_saved() -> None:
    place = next(number for number, event in enumerate(EVENTS) if event.kind == "checkpoint" and event.step == 20)
    saved, resumed = fold(*EVENTS[: place + 1]), fold(*EVENTS, RESUMED)
    assert (resumed.losses, resumed.tokens, resumed.last_step) == (saved.losses, saved.tokens, saved.last_step)
    assert (resumed.evals, resumed.samples, resumed.checkpoints) == (saved.evals, saved.samples, saved.checkpoints)
    assert (resumed.finished, resumed.proof, resumed.folder, resumed.resumed) == (None, None, "runs/moved", (RESUMED,))


def test_steps_that_are_taken_again_count_once() -> None:
    place = next(number for number, event in enumerate(EVENTS) if event.kind == "checkpoint" and event.step == 20)
    again = fold(*EVENTS, RESUMED, *EVENTS[place + 1 :])
    once = fold(*EVENTS)
    assert (again.losses, again.tokens, again.evals) == (once.losses, once.tokens, once.evals)
    assert (again.finished, again.best_eval) == (once.finished, once.best_eval)


def test_a_run_may_be_resumed_from_an_older_checkpoint_than_the_last() -> None:
    older = RESUMED.model_copy(update={"step": 10, "checkpoint": "step-10"})
    plan = llama_plan(steps=30)
    recipe = plan.recipe.model_copy(
        update={"training": plan.recipe.training.model_copy(update={"keep_checkpoints": 3})}
    )
    events = scripted_events(steps=30, plan=plan.model_copy(update={"recipe": recipe}))
    assert fold(*events, RESUMED, older).step == 10


def test_a_run_without_a_checkpoint_begins_again() -> None:
    again = fold(*EVENTS[:20], RunResumed(folder="runs/one", step=0))
    assert (again.step, again.evals, again.run_id) == (0, (), fold(*EVENTS).run_id)
    assert again.plan is not None


def test_states_of_checkpoints_that_are_gone_are_forgotten() -> None:
    state = fold(*EVENTS)
    assert [one.step for one in state.savepoints] == [20, 30]
    assert not any(one.savepoints for one in state.savepoints)
