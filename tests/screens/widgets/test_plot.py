import math
import time

from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.widgets.plot import Axes, Series, axis_number, plot


def _text(series: Series, width: int = 30, height: int = 10) -> str:
    return "\n".join(line.plain for line in plot([series], width, height, BRAILLE, Axes()))


def test_every_line_is_as_wide_as_asked() -> None:
    lines = plot([Series(points=[(0, 1), (9, 3)], style="")], 40, 12, BRAILLE, Axes())
    assert {line.cell_len for line in lines} == {40} and len(lines) == 12


def test_a_single_spike_among_100_000_points_is_drawn() -> None:
    flat = [(x, 1.0) for x in range(100_000)]
    flat[50_001] = (50_001, 9.0)
    top = plot([Series(points=flat, style="")], 60, 10, BRAILLE, Axes())[0].plain
    assert any(0x2800 < ord(sign) < 0x2900 for sign in top)


def test_nan_and_infinity_leave_a_gap_and_the_rest_is_drawn() -> None:
    points = [(0, 1.0), (1, math.nan), (2, math.inf), (3, 2.0)]
    assert any(0x2800 < ord(sign) < 0x2900 for sign in _text(Series(points=points, style="")))


def test_no_points_is_an_empty_chart() -> None:
    assert _text(Series(points=[], style="")).strip() == ""


def test_without_braille_each_series_has_its_own_sign() -> None:
    low = Series(points=[(0, 1), (9, 1)], style="", sign="*")
    high = Series(points=[(0, 3), (9, 3)], style="", sign="o")
    text = "\n".join(line.plain for line in plot([low, high], 30, 10, ASCII, Axes()))
    assert "***" in text and "ooo" in text


def test_a_hundred_thousand_points_take_no_longer_than_a_frame() -> None:
    series = Series(points=[(x, math.sin(x / 1000)) for x in range(100_000)], style="")
    times = []
    for _ in range(3):
        before = time.thread_time()
        plot([series], 100, 30, BRAILLE, Axes())
        times.append(time.thread_time() - before)
    assert min(times) < 0.25


def test_axis_numbers_fit_their_column() -> None:
    numbers = (0.893, 2.2, 1024, 12_345, 3e6, 1e-4, -0.5, 9999.5, 0.0)
    assert all(len(axis_number(number)) <= 6 for number in numbers)
