"""The Train station."""

from collections.abc import Iterator
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


class TrainScreen(Station):
    STATION: ClassVar[StationName | None] = "train"

    def compose_body(self) -> Iterator[Widget]:
        yield Static("Train", classes="panel")
