"""How keys are written for people ("⏎" for enter, "^n" for ctrl+n), and what a key does, in its taker's words."""

from textual.binding import ActiveBinding

_NAMES = {
    "enter": "⏎",
    "escape": "esc",
    "question_mark": "?",
    "space": "space",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "minus": "-",
    "plus": "+",
    "equals_sign": "=",
    "full_stop": ".",
    "comma": ",",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "pgup",
    "pagedown": "pgdn",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "semicolon": ";",
    "apostrophe": "'",
}
_PLAIN = {"enter": "enter", "up": "up", "down": "down", "left": "left", "right": "right"}


def key_name(keys: str, *, is_plain: bool = False) -> str:
    """The first of several keys, as a person knows it; `is_plain` for terminals that show ASCII alone."""
    key = keys.split(",")[0].strip()
    names = {**_NAMES, **_PLAIN} if is_plain else _NAMES
    if key.startswith("ctrl+"):
        return "^" + names.get(key[5:], key[5:])
    if key.startswith("shift+"):
        return ("shift+" if is_plain else "⇧") + names.get(key[6:], key[6:])
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return names.get(key, key)


def label_of(active: ActiveBinding) -> str:
    """What the key does: in the words of the widget that takes it (`key_labels`), or in those of its binding."""
    binding = active.binding
    labels = getattr(active.node, "key_labels", {})
    words = str(labels.get(binding.id) or binding.description or active.tooltip)
    return words if binding.id else words.lower()  # Textual's own labels are written in another way


def is_shown(active: ActiveBinding) -> bool:
    """Whether the key bar has the key: one that a widget has its own words for always is."""
    return active.binding.show or bool(getattr(active.node, "key_labels", {}).get(active.binding.id))
