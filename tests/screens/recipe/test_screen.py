from pathlib import Path

from tests.screens.golden import screen_text
from tests.screens.recipe.states import empty, filled, wrong
from tests.screens.settling import until, until_planned
from tui_tuner.recipe import read_recipe
from tui_tuner.screens.recipe.screen import RecipeScreen


async def test_a_number_is_typed_with_its_consequences_and_taken(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        await pilot.press("j", "enter", "6", "0")
        assert "The run has 60 steps" in screen_text(app) and " 60 steps ·" in screen_text(app)
        assert app.draft.get("training", "max_steps") is None
        await pilot.press("enter")
        assert app.draft.get("training", "max_steps") == 60


async def test_what_a_field_does_not_take_is_said_and_stays_typed(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        await pilot.press("j", "enter", "g", "enter")
        assert "takes a whole number" in screen_text(app) and app.current_mode == "recipe"
        await pilot.press("escape")
        assert app.draft.get("training", "max_steps") is None


async def test_nudge_default_and_undo(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        await pilot.press("minus")
        assert app.draft.get("training", "epochs") == 2.0
        await pilot.press("equals_sign")
        assert app.draft.get("training", "epochs") == "auto"
        await pilot.press("u")
        assert app.draft.get("training", "epochs") == 2.0


async def test_a_preset_is_a_change_that_can_be_undone(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        before = app.draft
        await pilot.press("p", "j", "enter")
        await until(pilot, lambda: app.draft.get("adapter", "rank") == 32)
        await pilot.press("u")
        assert app.draft == before


async def test_the_file_that_is_written_is_a_recipe(tmp_path: Path) -> None:
    target = tmp_path / "mine.toml"
    app = filled(tmp_path, {"data": {"sources": [{"path": "a.jsonl"}]}})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5", "w")
        app.screen.query_one("Input").value = str(target)  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, target.exists)
    assert read_recipe(target).model.source == "Qwen/Qwen3-8B"


async def test_a_recipe_file_is_opened_and_the_draft_before_it_is_not_lost(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[adapter]\nrank = 4\n")
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5", "o")
        app.screen.query_one("Input").value = str(tmp_path / "r.toml")  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.get("adapter", "rank") == 4)
        await pilot.press("u")
        assert app.draft.get("model", "source") == "Qwen/Qwen3-8B"


async def test_go_without_data_says_what_is_missing_and_goes_there(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        await pilot.press("g")
        assert app.current_mode == "data"


async def test_a_wrong_value_is_marked_and_counted(tmp_path: Path) -> None:
    app = wrong(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5", "n")
        await pilot.pause()
        assert isinstance(app.screen, RecipeScreen)
        assert app.screen.row is not None and app.screen.row.dotted == "optimizer.learning_rate"
        assert "to mend" in screen_text(app) and "below 1" in screen_text(app)


async def test_an_empty_draft_shows_the_form_and_where_to_begin(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await pilot.pause()
        assert "Choose a model first." in screen_text(app) and "Epochs" in screen_text(app)


async def test_the_toml_is_shown(tmp_path: Path) -> None:
    app = filled(tmp_path, {"adapter": {"rank": 8}})
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5", "v")
        await pilot.pause()
        assert "rank = 8" in screen_text(app)


async def test_the_help_of_a_field_speaks_of_this_run(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        await until_planned(pilot, app)
        await pilot.press("j", "j")
        assert isinstance(app.screen, RecipeScreen)
        schedule = app.outlook.plan and app.outlook.plan.schedule
        assert schedule
        rows, times = schedule.micro_batch_size, schedule.gradient_accumulation
        assert f"One step learns from {rows} × {times} = {rows * times} sequences" in app.screen.help_text()
