from pathlib import Path

from tests.screens.export.states import KEYS, empty, stand_still, written
from tests.screens.golden import screen_text
from tests.screens.settling import until
from tui_tuner.screens.dialogs.pick import Pick


async def test_without_any_adapter_the_station_says_where_one_comes_from(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS["empty"])
        await until(pilot, lambda: "No run has an adapter yet" in screen_text(app))


async def test_an_export_of_an_earlier_app_is_shown_and_its_commands_can_be_copied(tmp_path: Path) -> None:
    app = written(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS["written"])
        await until(pilot, lambda: "✓ written" in screen_text(app))
        assert "answers as the live adapter" in screen_text(app)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, Pick))
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "state" / "clipboard.txt").exists())
        assert (tmp_path / "state" / "clipboard.txt").read_text().startswith("vllm serve")


async def test_settings_are_changed_by_keys_and_shown(tmp_path: Path) -> None:
    app = written(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS["written"])
        await until(pilot, lambda: "Export support-v4" in screen_text(app))
        stand_still(app)
        await pilot.press("b", "space", "p")
        await until(pilot, lambda: "merge base 16bit" in screen_text(app) and "☑ Merged" in screen_text(app))
        assert "public" in screen_text(app)
        assert "written" not in screen_text(app)  # that was another merge
