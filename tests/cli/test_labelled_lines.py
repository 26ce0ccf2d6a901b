"""Labelled text on a terminal: what is trained can be told without colour, nothing is lost, and every line fits."""

import pytest
from rich.cells import cell_len

from tests.cli.terminal import drawn
from tui_tuner.cli.views.labelled_lines import LabelledLines
from tui_tuner.cli.views.labels import labels_block, shortened

HOSTILE = "\x1b]52;c;AAAA\x07 \x9b2J [red]x[/] \u202eabc\u2066"


def lines_of(*pieces: tuple[str, bool], cut: tuple[tuple[str, bool], ...] = (), width: int = 40) -> list[str]:
    return drawn(LabelledLines(pieces, cut), width).splitlines()


def test_the_trained_part_of_a_mixed_line_is_marked_under_it() -> None:
    assert lines_of(("ask: ", False), ("answer<end>", True), ("\n", False)) == [
        "▖ ask: answer<end>⏎",
        "       ▔▔▔▔▔▔▔▔▔▔▔",
    ]


def test_a_line_of_one_kind_needs_no_marks() -> None:
    assert lines_of(("one\n", False), ("two\nthree", True)) == ["· one⏎", "▌ two⏎", "▌ three"]


def test_a_tab_can_be_told_from_spaces() -> None:
    assert lines_of(("a\tb", True)) == ["▌ a⇥   b"]


def test_marks_stand_under_wide_characters() -> None:
    assert lines_of(("数学", False), ("语🙂", True)) == ["▖ 数学语🙂", "      ▔▔▔▔"]


@pytest.mark.parametrize("width", [12, 40, 80])
def test_long_lines_are_folded_without_loss(width: int) -> None:
    text = "some words and a" + "very" * 30 + "long one 数学" * 5
    lines = lines_of((text, True), width=width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join(line[2:] for line in lines).replace(" ", "") == text.replace(" ", "")


def test_what_is_cut_is_marked_on_each_line() -> None:
    assert lines_of(("kept\n", True), cut=(("lost\n", True), ("too", False))) == [
        " ▌ kept⏎",
        "✂ from here on cut off by the max length",
        "✂▌ lost⏎",
        "✂· too",
    ]


def test_text_that_steers_terminals_or_looks_like_markup_is_shown() -> None:
    text = "".join(lines_of((HOSTILE, False), width=200))
    assert "␛]52;c;AAAA␇ ⟨009B⟩2J [red]x[/] ⟨202E⟩abc⟨2066⟩" in text
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\u2066"} & set(text)


def test_the_middle_of_a_very_long_piece_is_counted() -> None:
    assert shortened("a" * 3000) == "a" * 1000 + "\n⋯ 1,000 more characters ⋯\n" + "a" * 1000
    assert "1,000 more characters" in drawn(labels_block("x:1", [("a" * 3000, True)], 3000, 3000))
