"""The names of a list's columns, for as many cells as its lines have: without its scrollbar, at any size."""

from collections.abc import Callable

from rich.text import Text
from textual.content import Content
from textual.widget import Widget

from tui_tuner.screens.widgets.line_list import LineList

Names = Callable[[int], Content | Text]
"""Draws them for so many cells."""


class ListHeader(Widget):
    """Stands above `listed`. What it draws depends on nothing but the width, or `refresh` is called."""

    can_focus = False

    def __init__(self, names: Names, listed: LineList, *, classes: str) -> None:
        super().__init__(classes=classes)
        self._names, self._listed = names, listed

    def on_mount(self) -> None:
        self.watch(self._listed, "show_vertical_scrollbar", self._renew, init=False)

    def render(self) -> Content | Text:
        return self._names(self._listed.scrollable_content_region.width or self.size.width)

    def _renew(self) -> None:
        self.refresh()
