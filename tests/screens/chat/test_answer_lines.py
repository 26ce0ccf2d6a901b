from tests.screens.chat.test_talk import answered, asked
from tests.screens.inks import INKS
from tui_tuner.screens.chat.answer_lines import exchange_lines, wrapped
from tui_tuner.screens.chat.talk import Conversation, Exchange
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE


def lines(exchange: Exchange, place: str = "left", width: int = 38) -> str:
    assert place in ("left", "right")
    drawn = exchange_lines(exchange, "left" if place == "left" else "right", width, BRAILLE, INKS)
    assert all(line.cell_len <= width for line in drawn)
    return "\n".join(line.plain for line in drawn)


def test_an_answer_says_how_it_came_about() -> None:
    last = answered(Conversation().asked(asked())).last
    assert last is not None
    assert "✓ ended · 4 tok · 2.0 s · 2 tok/s" in lines(last)


def test_a_hidden_side_shows_neither_name_nor_speed() -> None:
    last = answered(Conversation().asked(asked(is_blind=True))).last
    assert last is not None
    text = lines(last, "right").replace("tuned 1", "")
    assert "B\n" in text and "tuned" not in text and "tok" not in text


def test_what_a_model_writes_cannot_steer_the_terminal() -> None:
    text = "".join(line.plain for line in wrapped("\x1b[2J[/red] hi\u202e", 30, INKS.plain))
    assert "\x1b" not in text and "\u202e" not in text and "[/red]" in text


def test_long_words_and_wide_characters_are_folded_to_the_width() -> None:
    assert all(line.cell_len <= 10 for line in wrapped("x" * 35 + " 快递什么时候到呢快递什么时候到呢", 10, INKS.plain))


def test_ascii_needs_no_other_sign() -> None:
    last = answered(Conversation().asked(asked())).last
    assert last is not None
    drawn = exchange_lines(last, "left", 40, ASCII, INKS)
    assert all(line.plain.isascii() for line in drawn)
