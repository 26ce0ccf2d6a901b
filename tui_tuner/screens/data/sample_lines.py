"""A row as lines of tokens, each with a mark in the gutter: what is trained, what is masked, what is cut away."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len, chop_cells
from rich.style import Style
from rich.text import Text

from tui_tuner.safe_text import visible
from tui_tuner.screens.data.token_inks import TokenInks
from tui_tuner.screens.glyphs import Glyphs

Mode = Literal["masks", "text", "ids"]
MODES: tuple[Mode, ...] = ("masks", "text", "ids")
GUTTER = 2
LEAST_WIDTH = 8


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
    """A line that is being filled."""

    text: Text
    width: int = 0
    has_trained: bool = False
    has_cut: bool = False
    has_kept: bool = False


def token_lines(
    tokens: Sequence[Token], width: int, mode: Mode, glyphs: Glyphs, inks: TokenInks
) -> list[Text]:
    """Lines of at most `width` cells, broken where the row breaks and where it must."""
    return list(_lines(tokens, max(LEAST_WIDTH, width), mode, glyphs, inks))


def _lines(tokens: Sequence[Token], width: int, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> Iterator[Text]:
    room = width - (0 if mode == "text" else GUTTER)
    line = _Line(Text(no_wrap=True))
    for token in tokens:
        for piece, style, is_break in _pieces(token, mode, glyphs, inks):
            for part in _fitted(piece, room - line.width, room):
                if part is None:
                    yield _finished(line, mode, glyphs, inks)
                    line = _Line(Text(no_wrap=True))
                    continue
                line.text.append(part, style)
                line.width += cell_len(part)
                _note(line, token)
            if is_break:
                yield _finished(line, mode, glyphs, inks)
                line = _Line(Text(no_wrap=True))
    if line.width:
        yield _finished(line, mode, glyphs, inks)


def _note(line: _Line, token: Token) -> None:
    line.has_trained |= token.is_trained and not token.is_cut
    line.has_cut |= token.is_cut
    line.has_kept |= not token.is_cut


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
            yield end_of_line, style, True
    if mode == "ids":
        yield f"⟨{token.id}⟩" if glyphs.name != "ascii" else f"<{token.id}>", inks.muted, False


def _style(token: Token, inks: TokenInks) -> Style:
    if token.is_cut:
        return inks.cut
    if token.is_trained:
        return inks.trained_end if token.is_stop else inks.trained
    return inks.special if token.is_special else inks.masked


def _fitted(piece: str, left: int, room: int) -> Iterator[str | None]:
    """The piece in parts that fit; None is a break of the line."""
    if not piece:
        return
    if cell_len(piece) <= left:
        yield piece
        return
    head = _head(piece, left)
    if head:
        yield head
    for part in chop_cells(piece[len(head) :], room):
        yield None
        yield part


def _head(piece: str, left: int) -> str:
    """As much of it as fits, ending at a space where there is one."""
    head = chop_cells(piece, left)[0] if left > 0 else ""
    if cell_len(head) > left:
        return ""
    space = head.rfind(" ")
    return head[: space + 1] if space >= 0 else "" if cell_len(piece) <= LEAST_WIDTH * 3 else head


def _finished(line: _Line, mode: Mode, glyphs: Glyphs, inks: TokenInks) -> Text:
    if mode == "text":
        return line.text
    if line.has_cut and not line.has_kept:
        sign, style = glyphs.cut, inks.muted
    elif line.has_trained:
        sign, style = glyphs.trained, inks.gutter
    else:
        sign, style = glyphs.masked, inks.muted
    finished = Text(f"{sign} ", style=style, no_wrap=True)
    finished.append_text(line.text)
    return finished
