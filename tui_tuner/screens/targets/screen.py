"""The Targets station."""

from collections.abc import Iterator
from typing import ClassVar

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


class TargetsScreen(Station):
    STATION: ClassVar[StationName | None] = "targets"

    def compose_body(self) -> Iterator[Widget]:
        yield Static("Targets", classes="panel")
