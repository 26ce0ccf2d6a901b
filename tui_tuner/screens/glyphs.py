"""The signs that double every colour, in three sets: for braille fonts, for block fonts, and for plain ASCII."""

from dataclasses import dataclass
from typing import Literal

GlyphSet = Literal["braille", "block", "ascii"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """One set. Every sign is one cell wide."""

    name: GlyphSet
    done: str
    attention: str
    failed: str
    running: str
    paused: str
    stopped: str
    unknown: str
    pointer: str
    marked: str
    unmarked: str
    partly: str
    opened: str
    closed: str
    trained: str
    masked: str
    cut: str
    full: str
    """A whole cell of a bar."""
    eighths: str
    """A bar's last cell, from one eighth to seven."""
    track: str
    heights: str
    """Cells of a sparkline, lowest first."""
    dot: str
    arrow: str
    up: str
    down: str


BRAILLE = Glyphs(
    name="braille",
    done="✓",
    attention="!",
    failed="✗",
    running="●",
    paused="‖",
    stopped="■",
    unknown="?",
    pointer="▸",
    marked="☑",
    unmarked="☐",
    partly="◪",
    opened="▾",
    closed="▸",
    trained="▌",
    masked="·",
    cut="✂",
    full="█",
    eighths="▏▎▍▌▋▊▉",
    track="░",
    heights="▁▂▃▄▅▆▇█",
    dot="·",
    arrow="→",
    up="▲",
    down="▼",
)
BLOCK = Glyphs(**{field: getattr(BRAILLE, field) for field in Glyphs.__slots__ if field != "name"}, name="block")
ASCII = Glyphs(
    name="ascii",
    done="v",
    attention="!",
    failed="x",
    running="*",
    paused="=",
    stopped="#",
    unknown="?",
    pointer=">",
    marked="X",
    unmarked="_",
    partly="/",
    opened="-",
    closed="+",
    trained="|",
    masked=".",
    cut="%",
    full="#",
    eighths="",
    track=".",
    heights=".:-=+*#@",
    dot="-",
    arrow=">",
    up="^",
    down="v",
)
GLYPH_SETS: dict[GlyphSet, Glyphs] = {"braille": BRAILLE, "block": BLOCK, "ascii": ASCII}
