"""The Recipe station."""

from collections.abc import Iterator
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


class RecipeScreen(Station):
    STATION: ClassVar[StationName | None] = "recipe"

    def compose_body(self) -> Iterator[Widget]:
        yield Static("Recipe", classes="panel")
