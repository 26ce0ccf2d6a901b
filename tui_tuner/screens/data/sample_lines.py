"""A row as lines of tokens, each with a mark in the gutter: what is trained, what is masked, what is cut away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Literal

from rich.cells import cell_len, chop_cells
from rich.style import Style
from rich.text import Text

from tui_tuner.safe_text import visible
from tui_tuner.screens.data.token_inks import TokenInks
from tui_tuner.screens.look.glyphs import Glyphs

Mode = Literal["masks", "text", "ids"]
MODES: tuple[Mode, ...] = ("masks", "text", "ids")
GUTTER = 2
LEAST_WIDTH = 8
MOST_CARRIED = 16
"""Cells of a word that is moved whole to the next line; a longer one is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One token to draw."""

    text: str
    id: int
    is_trained: bool
    is_special: bool = False
    is_stop: bool = False
    is_cut: bool = False
    """Whether the max length takes it away."""


@dataclass(slots=True)
class _Line:
    """A line that is being filled: pieces of tokens, each with its style."""

    parts: list[tuple[str, Style, Token]] = field(default_factory=list)
    width: int = 0

    def add(self, text: str, style: Style, token: Token) -> None:
        self.parts.append((text, style, token))
        self.width += cell_len(text)

    def broken_word(self) -> "_Line":
        """Take what stands behind the last space off the line, where that is short: the next line begins with it."""
        carried = _Line()
        for number in range(len(self.parts) - 1, 0, -1):
            text, style, token = self.parts[number]
            space = text.rfind(" ") + 1
            rest = [(text[space:], style, token), *self.parts[number + 1 :]]
            if sum(cell_len(one[0]) for one in rest) > MOST_CARRIED:
                break
            if space:
                for one in rest:
                    if one[0]:
                        carried.add(*one)
                self.parts = [*self.parts[:number], (text[:space], style, token)]
                self.width -= carried.width
                break
        return carried


def token_lines(tokens: Sequence[Token], width: int, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> list[Text]:
    """Lines of at most `width` cells, broken where the row breaks and where it must."""
    return list(_lines(tokens, max(LEAST_WIDTH, width), mode, glyphs, inks))


def _lines(tokens: Sequence[Token], width: int, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> Iterator[Text]:
    room = width - (0 if mode == "text" else GUTTER)
    line = _Line()
    for token in tokens:
        for piece, style, is_break in _pieces(token, mode, glyphs, inks):
            if piece and line.width + cell_len(piece) > room and line.parts:
                following = line.broken_word() if not piece.startswith(" ") else _Line()
                yield _finished(line, mode, glyphs, inks)
                line, piece = following, piece.lstrip(" ") if mode == "text" else piece
            for number, part in enumerate(_chopped(piece, room - line.width, room)):
                if number:
                    yield _finished(line, mode, glyphs, inks)
                    line = _Line()
                line.add(part, style, token)
            if is_break:
                yield _finished(line, mode, glyphs, inks)
                line = _Line()
    if line.width:
        yield _finished(line, mode, glyphs, inks)


def _pieces(token: Token, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> Iterator[tuple[str, Style, bool]]:
    """What a token adds: text, style, and whether the line ends behind it."""
    style = inks.plain if mode == "text" else _style(token, inks)
    end_of_line = "" if mode == "text" else "$" if glyphs.name == "ascii" else "⏎"
    parts = token.text.split("\n")
    for number, part in enumerate(parts):
        shown = visible(part)
        if shown == part or mode == "text":
            yield shown, style, False
        else:
            for character in part:
                safe = visible(character)
                yield safe, style if safe == character or character == "\t" else style + inks.unsafe, False
        if number < len(parts) - 1:
            yield end_of_line, style, mode != "ids"
    if mode == "ids":
        name = f"⟨{token.id}⟩" if glyphs.name != "ascii" else f"<{token.id}>"
        yield name, inks.muted, len(parts) > 1


def _style(token: Token, inks: TokenInks) -> Style:
    if token.is_cut:
        return inks.cut
    if token.is_trained:
        return inks.trained_end if token.is_stop else inks.trained
    return inks.special if token.is_special else inks.masked


def _chopped(piece: str, left: int, room: int) -> list[str]:
    """Parts for the rest of this line, which may be nothing, and for whole lines behind it."""
    if cell_len(piece) <= left:
        return [piece]
    head = chop_cells(piece, left)[0] if left > 1 else ""
    return [head, *chop_cells(piece[len(head) :], room)]


def _finished(line: _Line, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> Text:
    finished = Text(no_wrap=True)
    if mode != "text":
        sign, style = _gutter(line, glyphs, inks)
        finished.append(f"{sign} ", style)
    for style, group in groupby(line.parts, key=itemgetter(1)):
        finished.append("".join(part for part, _, _ in group), style)
    return finished


def _gutter(line: _Line, glyphs: Glyphs, inks: TokenInks) -> tuple[str, Style]:
    tokens = [token for text, _, token in line.parts if text]
    if any(token.is_trained and not token.is_cut for token in tokens):
        return glyphs.trained, inks.gutter
    if tokens and all(token.is_cut for token in tokens):
        return glyphs.cut, inks.muted
    return glyphs.masked, inks.muted
