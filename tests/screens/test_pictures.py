"""Every state of the app that a person may meet, as it is drawn."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.data.states import until_checked
from tests.screens.golden import SNAPSHOTS, Golden, screen_text
from tests.screens.pictures import PICTURES, Picture
from tests.screens.settling import until

CASES = [pytest.param(one, name, size, id=name) for one in PICTURES for name, size in one.names]


@pytest.mark.parametrize(("picture", "name", "size"), CASES)
async def test_the_screen_is_as_its_picture(
    picture: Picture, name: str, size: tuple[int, int], golden: Golden, tmp_path: Path
) -> None:
    app = picture.make(tmp_path)
    async with app.run_test(size=size, notifications=False) as pilot:
        await pilot.pause(0.2)
        await _settled(pilot)
        for key in picture.keys:
            await pilot.press(key)
            await _settled(pilot)
            if key == "4" and "no-data" not in name:
                await until_checked(pilot, app)
        await until(pilot, lambda: picture.shows in screen_text(app), seconds=20)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await _settled(pilot)
        golden.check(app, name, tmp_path)


def test_no_picture_is_left_over_from_a_state_that_is_gone() -> None:
    wanted = {name for one in PICTURES for name, _ in one.names}
    found = {str(path.relative_to(SNAPSHOTS).with_suffix("")) for path in SNAPSHOTS.rglob("*.[st][vx][gt]")}
    assert found == wanted


async def _settled(pilot: Pilot[None]) -> None:
    """Until three looks in a row see the same."""
    same, before = 0, ""
    for _ in range(200):
        await pilot.pause(0.06)
        now = screen_text(pilot.app)
        same = same + 1 if now == before else 0
        before = now
        if same >= 4:
            return
