from pathlib import Path

from textual.pilot import Pilot

from tests.screens.golden import screen_text
from tests.screens.runs.material import failed, finished, write_run
from tests.screens.world import make_app
from tui_tuner.screens.dialogs.confirm import Confirm
from tui_tuner.screens.runs.comparison import ComparisonDialog


async def _settle(pilot: Pilot[None], text: str) -> None:
    for _ in range(100):
        await pilot.pause(0.05)
        if text in screen_text(pilot.app):
            return
    raise AssertionError(f"{text!r} is not on the screen:\n{screen_text(pilot.app)}")


async def test_an_empty_list_offers_the_demo(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _settle(pilot, "tunes a small built-in model")


async def test_two_marked_runs_are_compared_by_curve_and_recipe(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "first", losses=(3.0, 2.0, 1.5), end=finished(), rank=16)
    write_run(tmp_path / "runs", "second", losses=(3.0, 1.0, 0.5), end=finished(), rank=64)
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _settle(pilot, "second")
        await pilot.press("space", "space", "d")
        await _settle(pilot, "adapter.rank")
        assert isinstance(app.screen, ComparisonDialog)


async def test_a_run_is_deleted_only_after_a_yes(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", "old", end=finished())
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _settle(pilot, "old")
        await pilot.press("x")
        await _settle(pilot, "It cannot be undone")
        await pilot.press("enter")  # the safe answer has the focus
        assert folder.exists() and not isinstance(app.screen, Confirm)
        await pilot.press("x", "y")
        await _settle(pilot, "No runs yet")
    assert not folder.exists()


async def test_a_filter_leaves_the_runs_whose_name_or_model_matches(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "support", end=finished())
    write_run(tmp_path / "runs", "sql", end=failed())
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _settle(pilot, "support")
        await pilot.press("slash", "s", "q", "l", "enter")
        await pilot.pause()
        assert "support" not in screen_text(app) and "sql" in screen_text(app)


async def test_the_recipe_of_a_run_becomes_the_draft_and_can_be_undone(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", "support", end=finished(), rank=64)
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await _settle(pilot, "support")
        await pilot.press("c")
        assert app.draft.get("adapter", "rank") == 64
        await pilot.press("u")
        assert app.draft.get("adapter", "rank") == 16
