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
    # Some of Textual's own themes say "auto 60%" or "ansi_default 50%": a colour, faded into the ground.
    name, _, share = value.partition(" ")
    strength = float(share.strip(" %")) / 100 if share else 1.0
    color = ink if name == "auto" else Color.parse(name)
    strength *= color.a
    if strength >= 1.0:
        return Style(color=color.rich_color)
    if color.ansi is not None or ground.ansi is not None:
        return Style(color=color.rich_color, dim=True)  # the terminal's own colours cannot be mixed
    return Style(color=ground.blend(color, strength, 1.0).rich_color)
