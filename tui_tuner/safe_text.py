"""Makes text from data, models and files safe to show: what would steer a terminal becomes visible instead.

Nothing is dropped, so a reader sees that a row holds an escape character. Lines may still break at "\\n".
"""

TAB_STOP = "    "


def visible(text: str) -> str:
    """The text with control, bidirectional and other invisible steering characters replaced by visible marks.

    Escape becomes "␛", other C0 characters their Unicode picture, C1, bidi and line separators "⟨202E⟩", a lone
    surrogate "�"; tabs become spaces and newlines stay.
    """
    return text.translate(_MARKS)


def one_line(text: str, limit: int = 200) -> str:
    """Visible text on one line: newlines become "⏎", what is longer than `limit` characters ends in "…"."""
    line = visible(text[: limit + 1]).replace("\n", "⏎")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _marks() -> dict[int, str]:
    marks = {code: chr(0x2400 + code) for code in range(0x20) if code != ord("\n")}
    marks[ord("\t")] = TAB_STOP
    marks[0x7F] = "␡"
    for code in (*range(0x80, 0xA0), *_STEERING):
        marks[code] = f"⟨{code:04X}⟩"
    for code in range(0xD800, 0xE000):
        marks[code] = "�"
    return marks


# Zero-width joiners stay: emoji and several scripts need them, and they move nothing.
_STEERING = (
    0x00AD,
    0x061C,
    0x200B,
    0x200E,
    0x200F,
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
    *range(0xE0000, 0xE0080),
)
_MARKS = _marks()
