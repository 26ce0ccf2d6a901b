"""The app's own colours, by meaning. Each is doubled by a glyph or a text style wherever it says something.

Roles: `train` is the training, the data and what is learned; `you` is the focus, the selection, changed values and
evaluation; `special` is special tokens. Contrast on the background is at least 4.5 to 1, which a test checks.
"""

from textual.theme import Theme

DARK = Theme(
    name="tuner-dark",
    dark=True,
    primary="#56b4e9",
    secondary="#8a7fb8",
    accent="#ffb454",
    foreground="#d5dbe6",
    background="#0d1117",
    surface="#121822",
    panel="#1a2230",
    success="#4cc99a",
    warning="#f0c43a",
    error="#ff7a66",
    variables={
        "train": "#56b4e9",
        "you": "#ffb454",
        "special": "#a79bd8",
        "muted": "#8a95a8",
        "frame": "#2a3547",
        "selected": "#1d2736",
        "trained-ink": "#e9f4fb",
        "trained-ground": "#12405a",
        "trained-end": "#7be0b8",
        "you-ink": "#0d1117",
    },
)
LIGHT = Theme(
    name="tuner-light",
    dark=False,
    primary="#0b6aa6",
    secondary="#5c4fa0",
    accent="#8f5400",
    foreground="#1c2430",
    background="#fbfcfe",
    surface="#f3f5f9",
    panel="#e8ecf3",
    success="#0b7a52",
    warning="#806200",
    error="#c23a22",
    variables={
        "train": "#0b6aa6",
        "you": "#8f5400",
        "special": "#5c4fa0",
        "muted": "#5b6678",
        "frame": "#c3ccda",
        "selected": "#dfe7f2",
        "trained-ink": "#08304a",
        "trained-ground": "#cfe8f8",
        "trained-end": "#06603f",
        "you-ink": "#ffffff",
    },
)
OWN_THEMES = (DARK, LIGHT)
DEFAULT_THEME = DARK.name


def default_variables(theme_variables: dict[str, str]) -> dict[str, str]:
    """The roles for a theme that does not name them: one of Textual's own, or a user's."""
    roles = {
        "train": theme_variables["primary"],
        "you": theme_variables["accent"],
        "special": theme_variables["secondary"],
        "muted": theme_variables.get("text-muted", theme_variables["foreground"]),
        "frame": theme_variables.get("border-blurred", theme_variables["panel"]),
        "selected": theme_variables.get("block-hover-background", theme_variables["panel"]),
        "trained-ink": theme_variables["foreground"],
        "trained-ground": theme_variables.get("primary-muted", theme_variables["panel"]),
        "trained-end": theme_variables["success"],
        "you-ink": theme_variables["background"],
    }
    return {name: theme_variables.get(name, value) for name, value in roles.items()}
