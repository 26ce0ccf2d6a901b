"""Every state of the app that a person may meet, as it is drawn."""

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from tests.screens.data.states import until_checked
from tests.screens.golden import SNAPSHOTS, Golden, screen_text
from tests.screens.pictures import PICTURES, Picture, Size
from tests.screens.settling import until
from tui_tuner.screens.app import TunerApp

CASES = [pytest.param(one, name, size, id=name) for one in PICTURES for name, size in one.names]
SETTINGS = {"ascii": 'glyphs = "ascii"\n', "light": 'theme = "tuner-light"\n'}
PATIENCE = 30.0
PASSING = ("reading…", "looking…")


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all pictures of data: labels are computed once, and found again."""
    return tmp_path_factory.mktemp("data")


@pytest.mark.parametrize(("picture", "name", "size"), CASES)
async def test_the_screen_is_as_its_picture(
    picture: Picture, name: str, size: Size, golden: Golden, tmp_path: Path, checked: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = checked if name.startswith("data/") else tmp_path
    monkeypatch.chdir(tmp_path)
    app = _made(picture, folder, monkeypatch)
    async with app.run_test(size=size, notifications=False) as pilot:
        await pilot.pause(0.1)
        await _settled(pilot)
        await _pressed(pilot, app, picture.keys)
        if picture.arrange is not None:
            picture.arrange(app)
            await pilot.pause(3 * app.environment.frame_seconds)
        await _pressed(pilot, app, picture.then)
        await until(pilot, lambda: picture.shows in screen_text(app), seconds=PATIENCE)
        for field in app.screen.query(Input):
            field.cursor_blink = False
        await _settled(pilot)
        golden.check(app, name)


def test_no_picture_is_left_over_from_a_state_that_is_gone() -> None:
    wanted = {name for one in PICTURES for name, _ in one.names}
    found = {str(path.relative_to(SNAPSHOTS).with_suffix("")) for path in SNAPSHOTS.rglob("*.[st][vx][gt]")}
    assert found == wanted


def _made(picture: Picture, folder: Path, monkeypatch: pytest.MonkeyPatch) -> TunerApp:
    """The app of the picture's variant."""
    settings = SETTINGS.get(picture.variant)
    if settings is not None:
        (folder / "config").mkdir(parents=True, exist_ok=True)
        (folder / "config" / "settings.toml").write_text(settings)
    if picture.variant == "no-colour":
        monkeypatch.setenv("NO_COLOR", "1")
    return picture.make(folder)


async def _pressed(pilot: Pilot[None], app: TunerApp, keys: tuple[str, ...]) -> None:
    for key in keys:
        await pilot.press(key)
        await _settled(pilot)
        if key == "4" and app.outlook.facts.data is not None:
            await until_checked(pilot, app)


async def _settled(pilot: Pilot[None]) -> None:
    """Until four looks in a row see the same, and nothing of it says that it will pass."""
    same, before = 0, ""
    for _ in range(200):
        await pilot.pause(0.06)
        now = screen_text(pilot.app)
        same = same + 1 if now == before and not any(words in now for words in PASSING) else 0
        before = now
        if same >= 4:
            return
