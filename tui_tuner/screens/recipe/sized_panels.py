"""The panels of the Recipe station that are drawn to the size they have: the curve and the memory bar."""

from collections.abc import Callable

from rich.text import Text
from textual.widget import Widget

Draw = Callable[[int, int], Text]
"""Draws for a width and a height in cells."""


class SizedPanel(Widget):
    """Draws itself anew whenever it is given another drawing or gets another size."""

    can_focus = False

    def __init__(self, *, classes: str) -> None:
        super().__init__(classes=classes)
        self._draw: Draw = lambda _width, _height: Text()

    def show(self, draw: Draw) -> None:
        self._draw = draw
        self.refresh()

    def render(self) -> Text:
        return self._draw(self.content_size.width, self.content_size.height)
