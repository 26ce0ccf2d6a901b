"""The first line: the stations in the order of the work, each with how it stands. Keys 1 to 8, and clicks."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.stations import STATIONS, Mark, Marks, StationName

TITLES_FROM = 74
"""Cells that all titles and marks need."""
PARTS = ("name", "current", "done", "attention", "running", "idle")


class Rail(Widget):
    """Draws `marks`, with `current` lit."""

    can_focus = False
    marks: reactive[Marks] = reactive(dict)
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rail--name",
        "rail--current",
        "rail--done",
        "rail--attention",
        "rail--running",
        "rail--idle",
    }

    class Chosen(Message):
        """A station was clicked."""

        def __init__(self, station: StationName) -> None:
            self.station = station
            super().__init__()

    def __init__(self, current: StationName | None, glyphs: Glyphs) -> None:
        super().__init__()
        self.current = current
        self._glyphs = glyphs
        self._places: list[tuple[int, int, StationName]] = []

    def render(self) -> Text:
        is_wide = self.size.width >= 100
        line = Text(" tuner" if is_wide else "tuner ", style=self.get_component_rich_style("rail--name"), no_wrap=True)
        line.append("  " if is_wide else "")
        self._places = []
        before: StationName | None = None
        for entry in STATIONS:
            mark = self._sign(self.marks.get(entry.name, ""))
            title = entry.title if self.size.width >= TITLES_FROM or entry.name == self.current else ""
            text = f" {entry.key} {entry.title} {mark}".rstrip() + " " if is_wide else f"{entry.key}{title}{mark}"
            if not is_wide:  # one cell between two stations; those beside the current one are lit with it
                lit = before if before is not None and before == self.current else entry.name
                line.append(" ", style=self._style(lit))
            start = line.cell_len
            line.append(text, style=self._style(entry.name))
            self._places.append((start, line.cell_len, entry.name))
            before = entry.name
        if not is_wide and before is not None and before == self.current:
            line.append(" ", style=self._style(before))
        return line

    def on_click(self, event: events.Click) -> None:
        for start, end, station in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(station))

    def _style(self, name: StationName) -> str:
        mark = self.marks.get(name, "")
        part = "current" if name == self.current else mark or "idle"
        return str(self.get_component_rich_style(f"rail--{part}"))

    def _sign(self, mark: Mark) -> str:
        glyphs = self._glyphs
        return {"": "", "done": glyphs.done, "attention": glyphs.attention, "running": glyphs.running}[mark]
