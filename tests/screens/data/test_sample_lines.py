import pytest
from rich.cells import cell_len
from rich.style import Style

from tui_tuner.screens.data.sample_lines import Mode, Token, token_lines
from tui_tuner.screens.data.token_inks import TokenInks
from tui_tuner.screens.look.glyphs import GLYPH_SETS, GlyphSet

INKS = TokenInks(**{name: Style(color=f"color({number})") for number, name in enumerate(TokenInks.__slots__)})


def _lines(*tokens: Token, width: int = 20, mode: Mode = "masks", glyphs: GlyphSet = "braille") -> list[str]:
    return [line.plain for line in token_lines(tokens, width, mode, GLYPH_SETS[glyphs], INKS)]


def _token(text: str, *, trained: bool = False, cut: bool = False, number: int = 7) -> Token:
    return Token(text=text, id=number, is_trained=trained, is_cut=cut)


def test_the_gutter_says_of_each_line_whether_it_is_trained() -> None:
    assert _lines(_token("a\n"), _token("b", trained=True), _token("c")) == ["· a⏎", "▌ bc"]


def test_ascii_has_marks_of_its_own() -> None:
    assert _lines(_token("a\n"), _token("b", trained=True), glyphs="ascii") == [". a$", "| b"]


def test_what_is_cut_away_is_marked_and_struck() -> None:
    lines = token_lines([_token("ab", trained=True, cut=True)], 20, "masks", GLYPH_SETS["braille"], INKS)
    assert lines[0].plain == "✂ ab" and lines[0].spans[-1].style == INKS.cut


def test_a_word_of_several_tokens_goes_to_the_next_line_whole() -> None:
    assert _lines(_token("it is due"), _token(" to"), _token("day before"), width=14) == [
        "· it is due ",
        "· today before",
    ]


def test_a_long_word_is_broken() -> None:
    assert _lines(_token("x" * 25), width=12) == ["· " + "x" * 10, "· " + "x" * 10, "· xxxxx"]


@pytest.mark.parametrize("width", [8, 13, 21, 40])
@pytest.mark.parametrize("mode", ["masks", "text", "ids"])
def test_no_line_is_wider_than_asked_and_nothing_is_lost(width: int, mode: Mode) -> None:
    texts = ["你好世界", " a\x1b[31mb", "\n\n", "word " * 9, "\t", "é" * 30, "[/INST]", ""]
    lines = _lines(*(_token(text) for text in texts), width=width, mode=mode)
    assert all(cell_len(line) <= width for line in lines)
    letters = "".join(lines)
    assert "\x1b" not in letters and letters.count("w") == 9
    assert letters.count("é") == 30 and all(sign in letters for sign in "你好世界␛")


def test_ids_stand_behind_their_tokens() -> None:
    assert _lines(_token("a", number=5), _token("\n", number=6), _token("b", number=7), mode="ids") == [
        "· a⟨5⟩⏎⟨6⟩",
        "· b⟨7⟩",
    ]


def test_plain_text_has_no_marks() -> None:
    assert _lines(_token("a\n"), _token("b", trained=True), mode="text") == ["a", "b"]
