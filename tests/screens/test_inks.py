import pytest
from textual.theme import BUILTIN_THEMES

from tests.screens.inks import INKS
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.look.themes import OWN_THEMES, default_variables

THEMES = {**BUILTIN_THEMES, **{theme.name: theme for theme in OWN_THEMES}}


@pytest.mark.parametrize("name", THEMES)
def test_every_theme_gives_every_ink_a_colour(name: str) -> None:
    generated = THEMES[name].to_color_system().generate()
    inks = inks_of({**generated, **default_variables(generated)})
    assert all(getattr(inks, role).color is not None for role in Inks.__slots__)
    assert inks != INKS
