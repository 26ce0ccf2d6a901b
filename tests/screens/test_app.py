from pathlib import Path

import tomlkit

from tests.screens.world import make_app
from tui_tuner.screens.settings import load_settings
from tui_tuner.starter import starter_recipe_text


async def test_each_number_key_opens_its_station(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        seen = []
        for key in "23456781":
            await pilot.press(key)
            seen.append(app.current_mode)
    assert seen == ["model", "targets", "data", "recipe", "train", "chat", "export", "runs"]


async def test_a_draft_survives_leaving_and_coming_back(tmp_path: Path) -> None:
    first = make_app(tmp_path)
    async with first.run_test() as pilot:
        await pilot.pause()
        first.set_value(64, "adapter", "rank")
    second = make_app(tmp_path)
    async with second.run_test() as pilot:
        await pilot.pause()
        assert second.draft.get("adapter", "rank") == 64


async def test_undo_takes_back_a_change_and_redo_brings_it_again(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        app.set_value(64, "adapter", "rank")
        await pilot.press("u")
        assert app.draft.get("adapter", "rank") == 16
        await pilot.press("U")
        assert app.draft.get("adapter", "rank") == 64


async def test_a_draft_that_is_no_toml_is_said_and_the_app_opens(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "draft.toml").write_text("[[[")
    app = make_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        assert "not valid TOML" in next(iter(app._notifications)).message


async def test_a_theme_is_kept(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        app.use_theme("tuner-light")
    assert load_settings(tmp_path / "config" / "settings.toml")[0].theme == "tuner-light"


async def test_a_terminal_that_is_too_small_is_told_politely(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(52, 15)) as pilot:
        await pilot.pause()
        assert "needs 60 × 18 cells, this is 52 × 15" in str(app.screen.query_one("#too-small").render())


async def test_the_starter_recipe_as_a_draft_plans_and_marks_its_stations(tmp_path: Path) -> None:
    from tui_tuner.screens.draft import Draft

    app = make_app(tmp_path)
    async with app.run_test() as pilot:
        await pilot.pause()
        app.change_draft(Draft(tomlkit.parse(starter_recipe_text()).unwrap()))
        for _ in range(100):
            await pilot.pause(0.05)
            if app.outlook.can_start:
                break
        assert app.marks["model"] == app.marks["data"] == app.marks["recipe"] == "done"
