"""The last step before a plain terminal: frames, dots and arrows become ASCII, each of the same width."""

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SIGNS = str.maketrans(
    {
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼┏┓┗┛╔╗╚╝", "+"),
        **dict.fromkeys("─━═╌┄", "-"),
        **dict.fromkeys("│┃║┆┊▏▎▍▌▋▊▉▐▕", "|"),
        **dict.fromkeys("█▇▆▅▓▞▤", "#"),
        **dict.fromkeys("▄▃▀", "="),
        **dict.fromkeys("▁▂▔", "_"),
        **dict.fromkeys("░▒▚", ":"),
        **dict.fromkeys("·•∙", "."),
        **dict.fromkeys("→▸▶›", ">"),
        **dict.fromkeys("←◂◀‹⟨", "<"),
        **dict.fromkeys("–—‒−", "-"),
        **dict.fromkeys("●◉■", "*"),
        "↑": "^",
        "▲": "^",
        "↓": "v",
        "▼": "v",
        "▾": "v",
        "✓": "v",
        "✗": "x",
        "×": "x",
        "…": "~",
        "⏎": "$",
        "⟩": ">",
        "½": "/",
        "°": " ",
        "√": "/",
        "‖": "=",
        "☑": "X",
        "☐": "_",
        "◪": "/",
        "✂": "%",
        "↵": "$",
        "␛": "^",
        "“": '"',
        "”": '"',
        "’": "'",
        "‘": "'",
    }
)


class PlainSigns(LineFilter):
    """`is_strict`: what has no ASCII twin becomes "?", for a terminal that knows no UTF-8; letters stay otherwise."""

    def __init__(self, *, is_strict: bool = False) -> None:
        super().__init__()
        self._is_strict = is_strict

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        return [Segment(self._plain(one.text), one.style, one.control) for one in segments]

    def _plain(self, text: str) -> str:
        if text.isascii():
            return text
        signs = text.translate(SIGNS)
        if not self._is_strict or signs.isascii():
            return signs
        return "".join(one if one.isascii() else "?" * cell_len(one) for one in signs)
