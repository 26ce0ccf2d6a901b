from rich.style import Style

from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.widgets.stacked_bar import Part, stacked_bar


def _bar(*shares: float, width: int = 10) -> str:
    return stacked_bar([Part(share, Style()) for share in shares], width, BRAILLE, Style()).plain


def test_parts_follow_one_another_on_a_track() -> None:
    assert _bar(0.5, 0.3) == "█████▓▓▓░░"


def test_a_small_part_is_still_seen_and_nothing_is_not() -> None:
    assert _bar(0.5, 0.001, 0.0) == "█████▓░░░░"


def test_parts_beyond_the_whole_end_at_the_edge() -> None:
    assert _bar(0.8, 0.9, 0.5) == "████████▓▓"


def test_ascii_has_fills_of_its_own() -> None:
    assert stacked_bar([Part(0.5, Style()), Part(0.5, Style())], 4, ASCII, Style()).plain == "##=="
