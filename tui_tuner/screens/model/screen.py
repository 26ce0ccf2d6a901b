"""The Model station."""

from collections.abc import Iterator
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


class ModelScreen(Station):
    STATION: ClassVar[StationName | None] = "model"

    def compose_body(self) -> Iterator[Widget]:
        yield Static("Model", classes="panel")
