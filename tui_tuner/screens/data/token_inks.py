"""The styles of tokens: what is trained is never told by colour alone."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color

from tui_tuner.screens.look.inks import BOLD, inks_of

UNDERLINE = Style(underline=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInks:
    """Bold stands for trained, wherever it stands; where colours are few it is underlined too."""

    trained: Style
    trained_end: Style
    """A trained token that closes a turn."""
    masked: Style
    special: Style
    """A masked token that is never split."""
    cut: Style
    """What the max length takes away."""
    unsafe: Style
    """A character that is drawn as another one, for it would steer the terminal."""
    plain: Style
    gutter: Style
    muted: Style


def token_inks(variables: Mapping[str, str], *, is_underlined: bool = False) -> TokenInks:
    """The styles of a theme, from the app's `theme_variables`."""
    inks = inks_of(variables)
    ground = Style(bgcolor=_color(variables["trained-ground"]).rich_color) + BOLD
    ground += UNDERLINE if is_underlined else Style()
    return TokenInks(
        trained=ground + Style(color=_color(variables["trained-ink"]).rich_color),
        trained_end=ground + Style(color=_color(variables["trained-end"]).rich_color),
        masked=inks.muted,
        special=inks.special,
        cut=inks.muted + Style(strike=True),
        unsafe=inks.error,
        plain=inks.plain,
        gutter=inks.train,
        muted=inks.muted,
    )


def _color(value: str) -> Color:
    """Themes of 16 colours say "ansi_blue 50%", which no terminal of theirs can show."""
    return Color.parse(value.partition(" ")[0])
