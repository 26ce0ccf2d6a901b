"""Every theme can be read: at least 4.5 to 1 wherever the app writes text (WCAG 2.2, AA)."""

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from tests.screens.world import make_app
from tui_tuner.screens.look.contrast import readable
from tui_tuner.screens.look.themes import OWN_THEMES, default_variables

LEAST = 4.5
WITH_COLOURS = [theme for theme in BUILTIN_THEMES.values() if not theme.name.startswith("ansi-")]
"""The others leave the colours to the terminal."""
INKS = ("foreground", "muted", "train", "you", "special", "success", "warning", "error")
GROUNDS = ("background", "surface", "panel")
PAIRS = (
    *((ink, ground) for ink in INKS for ground in GROUNDS),
    *((ink, "selected") for ink in ("foreground", "muted", "train", "you")),
    ("trained-ink", "trained-ground"),
    ("trained-end", "trained-ground"),
    ("you-ink", "you"),
)


def _colours(theme: Theme) -> dict[str, str]:
    generated = theme.to_color_system().generate()
    colours = {**default_variables(generated), **generated, **theme.variables}
    return {**colours, **readable(colours)} if theme not in OWN_THEMES else colours


def _contrast(ink: str, ground: str) -> float:
    """As WCAG 2.2 defines it."""
    darker, lighter = sorted(_luminance(Color.parse(one)) for one in (ink, ground))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in colour.normalized]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [*OWN_THEMES, *WITH_COLOURS], ids=lambda theme: theme.name)
def test_text_stands_out_from_its_ground(theme: Theme) -> None:
    colours = _colours(theme)
    contrasts = {(ink, ground): _contrast(colours[ink], colours[ground]) for ink, ground in PAIRS}
    assert {pair: round(ratio, 2) for pair, ratio in contrasts.items() if ratio < LEAST} == {}


async def test_the_app_takes_the_readable_colours_of_a_theme_that_is_not_its_own(tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        app.use_theme("solarized-light")
        await pilot.pause()
        assert _contrast(app.theme_variables["muted"], app.theme_variables["panel"]) >= LEAST


@pytest.mark.parametrize("name", ["ansi-dark", "ansi-light"])
async def test_the_cursor_is_reversed_where_the_colours_are_the_terminals(name: str, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await pilot.pause(0.3)
        app.use_theme(name)
        await pilot.pause()
        assert app.screen.query_one("#models").get_component_rich_style("line-list--cursor").reverse


async def test_the_cursor_is_reversed_without_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await pilot.pause(0.3)
        assert app.screen.query_one("#models").get_component_rich_style("line-list--cursor").reverse
