"""The Train station by keys, over real runs of the starter model and over recorded events of a GPU."""

from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.hosting.quick_runs import quick_recipe
from tests.plans import NOON, llama_plan, step_finished
from tests.screens.golden import screen_text
from tests.screens.settling import until
from tests.screens.train.states import StillRun, show_running
from tests.screens.world import GPU_BOX, make_app
from tui_tuner.events import ControlApplied, RunStarted, RunState, TrainEvent
from tui_tuner.hosting.run_view import Attachment, RunView
from tui_tuner.plan import SpeedEstimate
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.train.meters import rate_factor

PATIENCE = 120.0


HERE = pytest.param(True, id="in this process")
ELSEWHERE = pytest.param(False, id="in its own session", marks=pytest.mark.nightly)


@pytest.mark.parametrize("is_in_process", [HERE, ELSEWHERE])
async def test_all_that_can_be_asked_of_a_run_is_done_by_keys(is_in_process: bool, tmp_path: Path) -> None:
    app = make_app(tmp_path, is_in_process=is_in_process)
    recipe = quick_recipe(tmp_path / "runs", "training.max_steps=100000", 'training.sample_prompts=["Hi", "Who?"]')
    async with app.run_test(size=(120, 40)) as pilot:
        app.run_desk.start(recipe)
        await pilot.press("6")
        await until(pilot, lambda: _state(app).step > 1, seconds=PATIENCE)
        for key, action in (("s", "save"), ("e", "evaluate"), ("a", "sample"), ("p", "pause")):
            await pilot.press(key)
            await until(pilot, partial(_applied, app, action), seconds=PATIENCE)
        assert _state(app).paused and _state(app).checkpoints and _state(app).evals
        assert len({one.step for one in _state(app).samples}) >= 2
        await _rates(pilot, app)
        await _abort(pilot, app)


async def _rates(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("p", "plus")
    await until(pilot, lambda: rate_factor(_state(app)) == 2.0, seconds=PATIENCE)
    await pilot.press("minus", "minus")
    await until(pilot, lambda: rate_factor(_state(app)) == 0.5, seconds=PATIENCE)
    assert not _state(app).paused
    await until(pilot, lambda: "rate x 0.5" in screen_text(app), seconds=PATIENCE)


async def _abort(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("x")
    await until(pilot, lambda: "Stop the run?" in screen_text(app))
    assert app.run_desk.view is not None and app.run_desk.view.is_alive
    await pilot.press("right", "right", "enter")
    await until(pilot, lambda: app.run_desk.view and not app.run_desk.view.is_alive, seconds=PATIENCE)


async def test_the_machine_panel_shows_a_gpu_at_work(tmp_path: Path) -> None:
    app = make_app(tmp_path, GPU_BOX)
    async with app.run_test(size=(120, 40)) as pilot:
        show_running(app)
        await pilot.press("6")
        await until(pilot, lambda: "97 %" in screen_text(app))
        text = screen_text(app)
        assert all(part in text for part in ("H200", "612 W", "61 °C", "VRAM peak", "11.9 of 141 GiB", "activations"))


async def test_the_speed_is_compared_with_the_plan_that_the_run_began_with(tmp_path: Path) -> None:
    speed = SpeedEstimate(tokens_per_second=32_768 / 1.78 * 2, seconds=60, source="computed", reason="by formula")
    plan = llama_plan().model_copy(update={"speed": speed})
    app = make_app(tmp_path, GPU_BOX)
    async with app.run_test(size=(80, 24)) as pilot:
        _show(app, RunStarted(run_id="r", folder="f", plan=plan), step_finished(1))
        await pilot.press("6")
        await until(pilot, lambda: "of the plan          50%" in screen_text(app))


async def test_a_rate_that_another_watcher_set_is_gone_on_from(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        halved = ControlApplied(time=NOON, step=3, action="learning_rate", value=0.5)
        run = _show(app, RunStarted(run_id="r", folder="f", plan=llama_plan()), step_finished(3), halved)
        await pilot.press("6")
        await until(pilot, lambda: "rate x 0.5" in screen_text(app))
        await pilot.press("minus")
        assert [one.value for one in run.controls.poll()] == [0.25]


async def test_on_a_low_terminal_v_shows_the_answers(tmp_path: Path) -> None:
    app = make_app(tmp_path, GPU_BOX)
    async with app.run_test(size=(80, 24)) as pilot:
        show_running(app)
        await pilot.press("6")
        await until(pilot, lambda: "Journal" in screen_text(app))
        await pilot.press("v")
        await until(pilot, lambda: "Where is order 4471?" in screen_text(app) and "base" in screen_text(app))


async def test_who_attaches_is_told_how_long_the_run_was_alone(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        _show(app, step_finished(3), attachment=Attachment(attached_at=NOON, alone_since=NOON - 7200))
        await pilot.press("6")
        await until(pilot, lambda: any("ran alone for 2 h 00 m" in one.message for one in app._notifications))


def _show(app: TunerApp, *events: TrainEvent, attachment: Attachment | None = None) -> StillRun:
    view = RunView(
        run_id="r",
        state=RunState().after_all(events),
        is_alive=True,
        attachment=attachment or Attachment(attached_at=NOON),
    )
    run = StillRun(view)
    app.run_desk.run, app.run_desk.view = run, None
    return run


def _state(app: TunerApp) -> RunState:
    return app.run_desk.view.state if app.run_desk.view else RunState()


def _applied(app: TunerApp, action: str) -> bool:
    return any(one.action == action for one in _state(app).controls)
