"""From nothing to an exported adapter, by keys alone, with the real engine: in the app's process, and in its own."""

import shutil
from pathlib import Path

import pytest
from textual.pilot import Pilot

from tests.screens.data.states import until_checked
from tests.screens.golden import screen_text
from tests.screens.settling import until, until_planned
from tests.screens.world import make_app
from tui_tuner.journal import read_state
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.chat.screen import ChatScreen
from tui_tuner.starter import starter_instructions_file, starter_model_folder

STEPS = 3
PATIENCE = 120.0
"""Seconds for what loads torch, on a machine with much else to do."""


@pytest.mark.parametrize("is_in_process", [True, False], ids=["in this process", "in its own session"])
async def test_keys_alone_lead_from_a_model_to_an_exported_adapter(
    is_in_process: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(starter_instructions_file(), tmp_path)
    monkeypatch.chdir(tmp_path)
    app = make_app(tmp_path, is_in_process=is_in_process)
    async with app.run_test(size=(120, 40)) as pilot:
        await _choose_model_and_rank(pilot, app)
        await _choose_data(pilot, app)
        await _train(pilot, app)
        run = await _finished_run(pilot, app)
        await _ask(pilot, app)
        await _export(pilot, app)
    state = read_state(run)
    assert state.proof is not None and state.proof.passed and state.step == STEPS
    assert (run / "exports" / "adapter" / "adapter_model.safetensors").is_file()


async def _choose_model_and_rank(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("2")
    await until(pilot, lambda: "tuner starter" in screen_text(app))
    await pilot.press("enter")
    await until(pilot, lambda: app.outlook.base is not None)
    assert app.draft.get("model", "source") == str(starter_model_folder())
    await pilot.press("3")
    await until(pilot, lambda: "q_proj" in screen_text(app))
    before = app.outlook.adapter
    await pilot.press("right_square_bracket")
    now = app.outlook.adapter
    assert before and now and now.num_trainable == 2 * before.num_trainable


async def _choose_data(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("4", "o")
    await until(pilot, lambda: "instructions.jsonl" in screen_text(app))
    await pilot.press(*"instr", "enter")
    await until_checked(pilot, app)
    await until(pilot, lambda: "▌ In Ostery.</s>" in screen_text(app))
    await until_planned(pilot, app)


async def _train(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("5", "j", "enter", str(STEPS), "enter")
    await until(pilot, lambda: (plan := app.outlook.plan) and plan.schedule.total_steps == STEPS)
    await pilot.press("g")
    assert app.current_mode == "train", [one.message for one in app._notifications]


async def _finished_run(pilot: Pilot[None], app: TunerApp) -> Path:
    desk = app.run_desk
    await until(pilot, lambda: desk.view is not None and not desk.view.is_alive, seconds=PATIENCE)
    await until(pilot, lambda: f"completed  {'█' * 12}  step {STEPS}/{STEPS}" in screen_text(app))
    assert desk.run is not None and desk.folder is not None and desk.run.run_id.endswith("-starter")
    return desk.folder / desk.run.run_id


async def _ask(pilot: Pilot[None], app: TunerApp) -> None:
    assert app.run_desk.run is not None
    await pilot.press("7")
    await until(pilot, lambda: app.run_desk.run and f"talks to {app.run_desk.run.run_id}" in screen_text(app))
    await pilot.press("enter")
    await until(pilot, lambda: "Ask both sides" in screen_text(app), seconds=PATIENCE)
    chat = app.screen
    assert isinstance(chat, ChatScreen)
    await pilot.press("H", "i", "enter")
    await until(pilot, lambda: screen_text(app).count("tok/s") == 4, seconds=PATIENCE)
    if chat.desk.talk.is_answering:
        await pilot.press("escape")
    await until(pilot, lambda: not chat.desk.talk.is_answering)
    await pilot.press("escape")


async def _export(pilot: Pilot[None], app: TunerApp) -> None:
    await pilot.press("8")
    await until(pilot, lambda: "will write" in screen_text(app), seconds=PATIENCE)
    await pilot.press("e")
    await until(pilot, lambda: "tuner chat " in screen_text(app), seconds=PATIENCE)
