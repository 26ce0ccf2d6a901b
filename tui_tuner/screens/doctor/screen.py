"""The Doctor screen."""

from collections.abc import Iterator

from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.station import Station


class DoctorScreen(Station):
    def compose_body(self) -> Iterator[Widget]:
        yield Static("Doctor", classes="panel")
