import os
import shutil
from pathlib import Path

from tests.screens.golden import screen_text
from tests.screens.model.states import empty, filled
from tests.screens.settling import until, until_planned
from tui_tuner.screens.model.screen import ModelScreen


async def test_enter_chooses_the_model_under_the_cursor(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "5 on this machine" in screen_text(app))
        await pilot.press("j", "enter")
        await until_planned(pilot, app)
        assert app.draft.get("model", "source") == "Qwen/Qwen3-8B"
        assert app.marks["model"] == "done" and "8.19 B parameters" in screen_text(app)


async def test_an_empty_machine_still_offers_the_starter(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "1 on this machine" in screen_text(app))
        await pilot.press("enter")
        await until_planned(pilot, app)
        assert app.outlook.base is not None and app.outlook.base.facts.num_layers == 3


async def test_four_bit_moves_the_planned_bar(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        app.set_value("Qwen/Qwen3-8B", "model", "source")
        await pilot.press("2")
        await until_planned(pilot, app)
        await pilot.press("b")
        await until(pilot, lambda: app.outlook.plan is not None and app.outlook.plan.quantization == "nf4")
        assert "▸ 4-bit base" in screen_text(app)


async def test_a_name_that_is_typed_and_not_to_be_had_says_what_to_do(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2", "slash", "o", "r", "g", "slash", "x", "8", "enter")
        await until(pilot, lambda: app.outlook.failure is not None)
        text = screen_text(app)
        assert app.current_mode == "model" and app.draft.get("model", "source") == "org/x8"
        assert "the hub cannot be reached" in text and "no network" in text and "name a local folder" in text


async def test_markup_and_escapes_in_names_are_only_text(tmp_path: Path) -> None:
    app = filled(tmp_path)
    snapshot = next((tmp_path / "hub").glob("models--Qwen*"))
    # By links: the weights are holes of 16 GB, which a copy would fill.
    evil = tmp_path / "hub" / "models--evil--[bold]\x1b[2J[INST]"
    shutil.copytree(snapshot, evil, symlinks=True, copy_function=os.link)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "6 on this machine" in screen_text(app))
        await pilot.press("j", "j", "j", "j", "enter")
        text = screen_text(app)
        assert "[bold]␛[2J[INST]" in text.replace("…", "") and "\x1b" not in text


async def test_the_help_speaks_of_the_model_under_the_cursor(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "5 on this machine" in screen_text(app))
        await pilot.press("j")
        assert isinstance(app.screen, ModelScreen)
        assert "8.19 B parameters in 36 layers" in app.screen.help_text()


async def test_going_on_from_an_adapter_can_be_chosen_and_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "support" / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"r": 8, "base_model_name_or_path": "Qwen/Qwen3-8B"}')
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: "5 on this machine" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: "support/adapter" in screen_text(app))
        await pilot.press("j", "j", "enter")
        await until(pilot, lambda: app.draft.get("model", "adapter"))
        assert app.draft.get("model", "source") == "Qwen/Qwen3-8B"
        await pilot.press("u")
        assert app.draft.get("model", "adapter") is None
