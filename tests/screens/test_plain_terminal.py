"""Where the terminal knows no UTF-8, or its font no frames, nothing but ASCII reaches it."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens.golden import screen_text
from tests.screens.runs.states import filled
from tests.screens.settling import until
from tests.screens.train.states import finished
from tests.screens.world import environment
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.look.glyphs import fitting_glyphs, knows_utf8


@pytest.mark.parametrize(
    ("variables", "glyphs"),
    [
        ({"TERM": "xterm-256color", "LANG": "en_GB.UTF-8"}, "braille"),
        ({"TERM": "screen-256color", "LC_ALL": "C.utf8"}, "braille"),
        ({"TERM": "xterm", "LANG": "C"}, "ascii"),
        ({"TERM": "xterm", "LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),  # what Python makes of the C locale
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, "ascii"),
        ({"TERM": "linux", "LANG": "en_GB.UTF-8"}, "ascii"),
        ({"TERM": "dumb", "LANG": "en_GB.UTF-8"}, "ascii"),
        ({"LANG": "en_GB.UTF-8"}, "ascii"),
    ],
)
def test_the_signs_follow_the_terminal(variables: dict[str, str], glyphs: str) -> None:
    assert fitting_glyphs(variables) == glyphs


def test_all_categories_of_the_locale_go_before_one_and_one_before_the_general() -> None:
    assert not knows_utf8({"LC_ALL": "C", "LANG": "en_GB.UTF-8"})
    assert knows_utf8({"LC_CTYPE": "en_GB.UTF-8", "LANG": "C"})


@pytest.mark.parametrize("keys", ["1", "2", "3", "4", "5", "7", "8", "?"])
async def test_a_terminal_without_utf8_gets_ascii_alone(keys: str, tmp_path: Path) -> None:
    filled(tmp_path)
    app = TunerApp(replace(environment(tmp_path), glyphs="ascii", knows_utf8=False))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "summaries" in screen_text(app))
        await pilot.press("question_mark" if keys == "?" else keys)
        await pilot.pause(0.3)
        assert screen_text(app).isascii(), [one for one in screen_text(app).splitlines() if not one.isascii()]


async def test_a_run_is_drawn_in_ascii_alone(tmp_path: Path) -> None:
    finished(tmp_path)
    app = TunerApp(replace(environment(tmp_path), glyphs="ascii", knows_utf8=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "support-v3" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "completed" in screen_text(app))
        assert screen_text(app).isascii()
