"""A million rows: what the Data station counts, and the list that it draws, cost what a screen of rows costs."""

import time

import numpy as np
from rich.text import Text
from textual.app import App, ComposeResult

from tests.screens.golden import screen_text
from tests.screens.settling import until
from tui_tuner.screens.data.lengths import Histogram
from tui_tuner.screens.widgets.line_list import LineList

MILLION = 1_000_000


class OneList(App[None]):
    """A million lines, drawn when they are seen."""

    def __init__(self) -> None:
        super().__init__()
        self.num_drawn = 0

    def compose(self) -> ComposeResult:
        yield LineList(self._draw, MILLION, name="rows")

    def _draw(self, index: int, width: int) -> Text:
        self.num_drawn += 1
        return Text(f"row {index + 1:,}"[:width])


async def test_a_list_of_a_million_lines_draws_those_that_are_seen() -> None:
    app = OneList()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(LineList).focus()
        began = time.process_time()
        await pilot.press("G", "k", "ctrl+u", "g", "ctrl+d", "j", "G")
        await until(pilot, lambda: "row 1,000,000" in screen_text(app))
        assert time.process_time() - began < 4.0  # measured: 0.4, most of it the pilot's own
        assert app.num_drawn < 20 * 24


def test_the_lengths_of_a_million_rows_are_counted_in_a_moment() -> None:
    lengths = np.random.default_rng(1).integers(1, 4000, MILLION).astype(np.int32)
    began = time.process_time()
    histogram = Histogram.of(lengths)
    assert (histogram.longest, round(histogram.p50, -2)) == (3999, 2000)
    assert time.process_time() - began < 1.5  # measured: 0.12
