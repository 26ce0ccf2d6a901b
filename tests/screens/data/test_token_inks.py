import pytest
from textual.theme import BUILTIN_THEMES, Theme

from tui_tuner.screens.data.token_inks import token_inks
from tui_tuner.screens.look.themes import OWN_THEMES, default_variables


@pytest.mark.parametrize("theme", [*OWN_THEMES, *BUILTIN_THEMES.values()], ids=lambda theme: theme.name)
def test_trained_is_bold_and_masked_is_not_in_every_theme(theme: Theme) -> None:
    variables = theme.to_color_system().generate()
    inks = token_inks({**variables, **default_variables(variables)}, is_underlined=True)
    assert inks.trained.bold and inks.trained_end.bold and inks.trained.underline and inks.trained.bgcolor
    assert not (inks.masked.bold or inks.special.bold or inks.cut.bold)
