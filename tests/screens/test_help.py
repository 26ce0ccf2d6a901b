"""Everything that can have the focus says what it is: every number has `?`."""

from pathlib import Path

import pytest
from textual.screen import Screen
from textual.widgets import Input

from tests.screens.data.states import clean, until_checked
from tests.screens.golden import screen_text
from tests.screens.settling import until
from tests.screens.train.states import finished
from tests.screens.world import make_app
from tui_tuner.screens.dialogs.help import help_texts
from tui_tuner.screens.stations import STATIONS

SHORTEST = 40


def _speechless(screen: Screen[object]) -> list[str]:
    """Focusable widgets without a text that is their own or that of the panel or station that they stand in."""
    found = []
    for widget in screen.query("*"):
        if widget.can_focus and not isinstance(widget, Input):
            texts = list(help_texts(screen, widget))
            if not texts or max(map(len, texts)) < SHORTEST:
                found.append(f"{type(screen).__name__}: {widget!r}")
    return found


@pytest.mark.parametrize("name", [entry.name for entry in STATIONS])
async def test_every_widget_that_takes_the_focus_has_help(name: str, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    key = next(entry.key for entry in STATIONS if entry.name == name)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert app.current_mode == name
        assert _speechless(app.screen) == []


async def test_help_of_the_doctor_is_there_too(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("f9")
        await pilot.pause()
        assert _speechless(app.screen) == []


async def test_help_on_data_speaks_of_the_rows_that_are_there(tmp_path: Path) -> None:
    app = clean(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        texts = " ".join(help_texts(app.screen, app.screen.focused))
        assert _speechless(app.screen) == [] and "trained" in texts


async def test_every_panel_of_a_run_explains_its_figures_under_the_question_mark(tmp_path: Path) -> None:
    app = finished(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "support-v3" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "completed" in screen_text(app))
        assert _speechless(app.screen) == []
        await pilot.press("question_mark")
        await until(pilot, lambda: "negative log-likelihood" in screen_text(app))
