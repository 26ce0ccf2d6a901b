"""How keys are written for people: "⏎" for enter, "^n" for ctrl+n."""

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
}


def key_name(keys: str) -> str:
    """The first of several keys, as a person knows it."""
    key = keys.split(",")[0].strip()
    if key.startswith("ctrl+"):
        return "^" + _NAMES.get(key[5:], key[5:])
    if key.startswith("shift+"):
        return "⇧" + _NAMES.get(key[6:], key[6:])
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _NAMES.get(key, key)
