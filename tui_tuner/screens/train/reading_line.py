"""The line under the chart: what the curves say, in plain words."""

from textual.widgets import Static

from tui_tuner.screens.look.glyphs import Glyphs
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
        content = shown_line(words, limit=400)
        # The screen is laid out anew only where the words take another number of lines.
        height = content.get_height({}, max(1, self.content_size.width))
        self.update(content, layout=height != self.content_size.height)
        self.set_classes(f"train-reading -{reading.mood}")
