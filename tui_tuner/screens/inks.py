"""The theme's colours as styles for text that is drawn cell by cell."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color

BOLD = Style(bold=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inks:
    """One style for each role of `themes`. Add `BOLD` for weight."""

    plain: Style
    muted: Style
    train: Style
    you: Style
    special: Style
    success: Style
    warning: Style
    error: Style
    frame: Style


def inks_of(variables: Mapping[str, str]) -> Inks:
    """The styles of a theme, from the app's `theme_variables`."""
    ground, ink = Color.parse(variables["background"]), Color.parse(variables["foreground"])
    names = {name: "foreground" if name == "plain" else name for name in Inks.__slots__}
    return Inks(**{name: _style(variables[role], ground, ink) for name, role in names.items()})


def _style(value: str, ground: Color, ink: Color) -> Style:
    if value.startswith("auto"):
        # Some of Textual's own themes say "auto 60%": the ink that suits the ground, faded.
        share = float(value.removeprefix("auto").strip().rstrip("%") or 100) / 100
        return Style(color=ground.blend(ink, share).rich_color)
    return Style(color=Color.parse(value).rich_color)
