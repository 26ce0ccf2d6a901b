"""The signs that double every colour, in three sets: for braille fonts, for block fonts, and for plain ASCII."""

from collections.abc import Mapping
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
PLAIN_TERMINALS = ("linux", "dumb", "vt", "cons")
"""Beginnings of TERM for screens whose fonts have no braille and few blocks."""


def is_plain(app: object) -> bool:
    """Whether an app draws in ASCII alone."""
    glyphs = getattr(app, "glyphs", None)
    return isinstance(glyphs, Glyphs) and glyphs.name == "ascii"


def knows_utf8(variables: Mapping[str, str]) -> bool:
    """Whether the locale of these environment variables is one of UTF-8; one that is not set is not.

    Python puts LC_CTYPE=C.UTF-8 into the environment of the C locale (PEP 538): that says nothing of the terminal.
    """
    named = [variables.get(name, "") for name in ("LC_ALL", "LC_CTYPE", "LANG")]
    if named[1] == "C.UTF-8":
        named[1] = ""
    locale = next((one for one in named if one), "C")
    return "utf8" in locale.lower().replace("-", "")


def fitting_glyphs(variables: Mapping[str, str]) -> GlyphSet:
    """The richest set that the terminal of these environment variables shows for certain."""
    is_poor = variables.get("TERM", "dumb").startswith(PLAIN_TERMINALS) or not knows_utf8(variables)
    return "ascii" if is_poor else "braille"
