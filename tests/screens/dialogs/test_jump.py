from pathlib import Path

from tests.screens.golden import screen_text
from tests.screens.settling import until
from tests.screens.targets.states import filled
from tests.screens.world import make_app
from tui_tuner.screens.dialogs.jump import Jump


async def test_a_letter_on_each_panel_leads_to_it(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("5")
        await until(pilot, lambda: "Learning rate" in screen_text(app))
        chain = list(app.screen.focus_chain)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, Jump) and screen_text(app).split())
        await pilot.press("asdfghjkl"[len(chain) - 1])
        await until(pilot, lambda: app.focused is chain[-1])


async def test_a_digit_leads_to_a_station_and_any_other_key_nowhere(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+o", "9")
        await until(pilot, lambda: not isinstance(app.screen, Jump))
        assert app.current_mode == "runs"
        await pilot.press("ctrl+o", "3")
        await until(pilot, lambda: app.current_mode == "targets")
