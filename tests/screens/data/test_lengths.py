import numpy as np
import pytest

from tests.screens.inks import INKS
from tui_tuner.data.looking.curve import AtLength
from tui_tuner.screens.data.lengths import Histogram, Scale, histogram_lines, length_words, nudged, share_words
from tui_tuner.screens.look.glyphs import GLYPH_SETS

GLYPHS = GLYPH_SETS["braille"]
LENGTHS = np.array([10, 20, 20, 30, 500], dtype=np.int32)


def test_every_row_is_in_one_bar_and_the_last_holds_longer_ones() -> None:
    bars = Histogram.of(LENGTHS).bars(Scale(step=10, num_bars=4, cells=1))
    assert bars.tolist() == [1, 2, 1, 1]


@pytest.mark.parametrize("reach", [8, 70, 116, 117, 1000, 100_000])
def test_bars_span_equally_many_lengths_and_fill_most_of_the_width(reach: int) -> None:
    scale = Scale.of(reach, 116)
    assert scale.num_bars * scale.step >= reach and 116 // 2 < scale.width <= 116
    assert scale.cell(reach) == scale.width - 1 or scale.num_bars * scale.step > reach
    assert abs(scale.length(scale.cell(reach // 2)) - reach // 2) <= scale.step


@pytest.mark.parametrize("length", [8, 9, 40, 100, 1000, 2048, 100_000])
def test_a_nudge_there_and_back_stays_near_and_always_moves(length: int) -> None:
    longer, shorter = nudged(length, 1), nudged(length, -1)
    assert longer > length and (shorter < length or length == 8)
    assert abs(nudged(longer, -1) - length) <= max(8, length // 8)


def test_the_line_stands_over_its_number() -> None:
    lines = [line.plain for line in histogram_lines(Histogram.of(LENGTHS), 30, (40, 3), GLYPHS, INKS)]
    assert "30" in lines[-1] and abs(lines[0].index("│") - lines[-1].index("30")) <= 2


def test_no_rows_make_an_empty_picture() -> None:
    nothing = Histogram.of(np.array([], dtype=np.int32))
    assert all("▁" not in line.plain for line in histogram_lines(nothing, 64, (20, 3), GLYPHS, INKS))


def test_the_words_say_what_the_policy_takes() -> None:
    cut = AtLength(
        max_length=64, over_length="cut", num_rows=10, rows_longer=3, rows_left_out=1, answers_cut=2, share_kept=0.9
    )
    assert length_words(cut, GLYPHS) == [
        ("3 (30.0 %)", "rows longer"),
        ("2", "answers cut"),
        ("1", "left out"),
        ("90.0 %", "of trained tokens kept"),
    ]


def test_a_hundred_per_cent_is_said_only_of_all() -> None:
    assert share_words(1.0) == "100.0 %" and share_words(0.99999) == "> 99.9 %"
