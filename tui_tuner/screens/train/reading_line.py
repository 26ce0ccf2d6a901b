"""The line under the chart: what the curves say, in plain words."""

from textual.widgets import Static

from tui_tuner.screens.glyphs import Glyphs
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.train.reading import Reading


class ReadingLine(Static):
    """Written anew only where the words or their signs are others."""

    def __init__(self) -> None:
        super().__init__(classes="train-reading")
        self._shown: tuple[Reading, Glyphs] | None = None

    def show_reading(self, reading: Reading, glyphs: Glyphs) -> None:
        if self._shown == (reading, glyphs):
            return
        self._shown = reading, glyphs
        marks = {"good": glyphs.done, "bad": glyphs.failed, "look": glyphs.attention}
        words = f"{marks.get(reading.mood, '')} {reading.text} {reading.action}".strip()
        # Its height is fixed, so the screen need not be laid out anew.
        self.update(shown_line(words, limit=400), layout=False)
        self.set_classes(f"train-reading -{reading.mood}")
