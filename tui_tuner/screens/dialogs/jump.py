"""ctrl+o: a letter on each panel that can have the focus; pressing it goes there. The digits go to the stations."""

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.stations import STATIONS, StationName

LETTERS = "asdfghjklwertyuiop"


class Jump(ModalScreen[Widget | StationName | None]):
    """Answers with the panel or the station that was chosen; None where any other key was pressed."""

    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+o", "dismiss(None)", "back", id="jump.leave")]
    DEFAULT_CSS = """
    Jump { background: $background 40%; }
    Jump .jump-label {
        position: absolute; width: 3; height: 1; background: $you; color: $you-ink; text-style: bold;
    }
    """

    def __init__(self, screen: Screen[object]) -> None:
        """`screen`: whose panels get a letter."""
        super().__init__()
        self._targets = dict(zip(LETTERS, screen.focus_chain, strict=False))

    def compose(self) -> ComposeResult:
        for letter, target in self._targets.items():
            label = Static(Content(f" {letter} "), classes="jump-label")
            label.styles.offset = target.region.offset
            yield label

    def on_key(self, event: events.Key) -> None:
        if event.key in ("escape", "ctrl+o"):
            return
        event.stop()
        stations = {entry.key: entry.name for entry in STATIONS}
        self.dismiss(self._targets.get(event.key) or stations.get(event.key))
