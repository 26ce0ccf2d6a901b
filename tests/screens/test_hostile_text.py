"""Text from outside can neither crash the app nor drive the terminal: names of runs and models, rows, warnings."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from textual.app import App
from textual.events import Paste
from textual.widgets import Input

from tests.plans import llama_plan, scripted_events
from tests.screens.data.states import until_checked
from tests.screens.golden import screen_text
from tests.screens.runs.material import finished, write_run
from tests.screens.settling import until
from tests.screens.world import make_app
from tui_tuner.events import WarningRaised
from tui_tuner.journal import RunJournal
from tui_tuner.recipe import recipe_to_toml
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.draft_file import save_draft
from tui_tuner.screens.shown import cell, shown, shown_line
from tui_tuner.starter import starter_model_folder

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J[bold]x[/INST] [/] [@click=app.quit]y[/]"
    " \u202ereversed\u202c \x9b31m \x00\x7f\u200b\ud800 \r\n\t🏴‍☠️"
)
STEERING = {chr(code) for code in (*range(0x20), 0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), 0x200B)}


def _raw(app: App[None]) -> set[str]:
    """Characters on the screen that steer a terminal."""
    strips = app.screen._compositor.render_strips()
    return {letter for strip in strips for letter in strip.text if letter in STEERING}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(codec=None), max_size=80))
def test_no_text_keeps_what_steers_a_terminal(text: str) -> None:
    for plain in (shown(text).plain, shown_line(text).plain, cell(text).plain):
        assert not set(plain) & (STEERING - {"\n"})
        plain.encode()


async def test_hostile_runs_are_listed_and_opened(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_run(runs, "[bold]run[INST]", [2.0, 1.0], finished(1.0, 2))
    plan = llama_plan(steps=8)
    events = [*scripted_events(steps=8)]
    warning = WarningRaised(time=events[-2].time, message=HOSTILE.replace("\ud800", ""))
    with RunJournal.create(runs, "odd\u202erun", recipe_to_toml(plan.recipe), plan) as journal:
        for event in (*events[:-1], warning, events[-1]):
            journal.append(event)
    for size in ((80, 24), (120, 40)):
        async with (app := make_app(tmp_path)).run_test(size=size) as pilot:
            await until(pilot, lambda: "INST" in _text(app))
            assert _raw(app) == set()
            for _ in range(2):
                await pilot.press("1", "j", "enter")
                await until(pilot, lambda: app.current_mode == "train" and "completed" in _text(app))
                assert _raw(app) == set()


@pytest.mark.parametrize("field", ["question", "answer", "name"])
async def test_hostile_rows_are_read_and_shown(field: str, tmp_path: Path) -> None:
    hostile = HOSTILE.replace("\ud800", "")
    turns = [
        {"role": "user", "content": hostile if field == "question" else "Where is it?"},
        {"role": "assistant", "content": hostile if field == "answer" else "Here."},
    ]
    path = tmp_path / ("od\x1b[31md[b]\u202e.jsonl" if field == "name" else "rows.jsonl")
    path.write_text("\n".join(json.dumps({"messages": turns, hostile: hostile}) for _ in range(20)))
    model = {"model": {"source": str(starter_model_folder())}, "data": {"sources": [{"path": str(path)}]}}
    save_draft(Draft(model), tmp_path / "state" / "draft.toml")
    app = make_app(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        assert _raw(app) == set()
        await pilot.press("question_mark")
        await pilot.pause(0.1)
        assert _raw(app) == set()


@pytest.mark.parametrize("key", "12345678")
async def test_a_hostile_model_name_goes_nowhere(key: str, tmp_path: Path) -> None:
    hostile = HOSTILE.replace("\ud800", "").replace("\x00", "")
    save_draft(Draft({"model": {"source": hostile}}), tmp_path / "state" / "draft.toml")
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await pilot.pause(0.3)
        assert _raw(app) == set()


def _text(app: App[None]) -> str:
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


@pytest.mark.parametrize("keys", [("2", "slash"), ("4", "o"), ("5", "w"), ("1", "o"), ("7", "f4")])
@pytest.mark.parametrize(
    "text", ["x" * 5000, "/" + "y/" * 3000, "~nobody-of-that-name/m"], ids=["long", "deep", "user"]
)
async def test_a_path_that_cannot_be_one_is_said_to_be_wrong(keys: tuple[str, ...], text: str, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.post_message(Paste(text))
        await until(pilot, lambda: isinstance(app.focused, Input) and app.focused.value)
        await pilot.press("enter")
        await pilot.pause(0.2)
        assert app.is_running and screen_text(app)
