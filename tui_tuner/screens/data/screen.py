"""The Data station."""

from collections.abc import Iterator
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


class DataScreen(Station):
    STATION: ClassVar[StationName | None] = "data"

    def compose_body(self) -> Iterator[Widget]:
        yield Static("Data", classes="panel")
