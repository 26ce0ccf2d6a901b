from pathlib import Path

from tests.screens.doctor.states import KEYS, open_doctor
from tests.screens.golden import screen_text
from tests.screens.settling import until
from tui_tuner.screens.doctor.screen import DoctorScreen


async def test_f9_shows_every_check_copies_the_report_and_escape_leaves(tmp_path: Path) -> None:
    app = open_doctor(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS)
        await until(pilot, lambda: "to look at  ·" in screen_text(app) and "looking" not in screen_text(app))
        await pilot.press("w", "y")
        assert "pip install -U bitsandbytes" in screen_text(app)
        assert "Triton" in (tmp_path / "state" / "clipboard.txt").read_text()
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, DoctorScreen))


async def test_a_station_that_is_gone_to_from_doctor_is_not_left_under_it(tmp_path: Path) -> None:
    app = open_doctor(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*KEYS, "3", "1")
        await pilot.pause()
        assert app.current_mode == "runs" and not isinstance(app.screen, DoctorScreen)
