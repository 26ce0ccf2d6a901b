"""What is typed faster than the app follows reaches what it was meant for."""

import asyncio
from pathlib import Path

from textual.events import Key, Paste
from textual.widgets import Input

from tests.screens.golden import screen_text
from tests.screens.runs.material import finished, write_run
from tests.screens.settling import until
from tests.screens.world import make_app
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.dialogs.confirm import Confirm

NAMES = {"/": "slash", "\r": "enter"}


def _burst(app: TunerApp, text: str) -> None:
    """As a slow line delivers them: all at once."""
    for sign in text:
        app.post_message(Key(NAMES.get(sign, sign), sign))


def _typed(app: TunerApp) -> str:
    return app.screen.query_one(Input).value if app.screen.query(Input) else ""


async def test_letters_after_a_key_that_opens_a_line_of_text_are_typed_into_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        _burst(app, "2/starter")
        await until(pilot, lambda: app.current_mode == "model" and _typed(app) == "starter")


async def test_letters_after_a_key_that_opens_a_dialog_are_typed_into_it(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        _burst(app, "4orows8")
        await until(pilot, lambda: "Training data" in screen_text(app) and _typed(app) == "rows8")
        assert app.current_mode == "data"


async def test_text_that_is_pasted_in_the_same_breath_lands_there_too(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        _burst(app, "2/")
        app.post_message(Paste("Qwen/Qwen3-8B"))
        await until(pilot, lambda: _typed(app) == "Qwen/Qwen3-8B")


async def test_enter_after_a_key_that_asks_takes_the_safe_answer_and_opens_nothing(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "kept", end=finished())
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "kept" in screen_text(app))
        asked: list[object] = []
        app.screen_change_signal.subscribe(app, asked.append)
        _burst(app, "x\r")
        await until(pilot, lambda: any(isinstance(one, Confirm) for one in asked) and len(app.screen_stack) == 1)
        assert app.current_mode == "runs" and (tmp_path / "runs" / "kept").is_dir()


async def test_a_worker_that_never_asks_does_not_silence_the_keyboard(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        hangs = app.run_worker(asyncio.Event().wait(), group="dialog")
        _burst(app, "3")
        await until(pilot, lambda: app.current_mode == "targets")
        hangs.cancel()
