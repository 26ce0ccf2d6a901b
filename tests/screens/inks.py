"""Styles for tests of what is drawn as text."""

from rich.style import Style

from tui_tuner.screens.look.inks import Inks

INKS = Inks(**{name: Style() for name in Inks.__slots__})
