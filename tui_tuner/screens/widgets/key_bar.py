"""The last line: the keys that work here and now, most important first. Clickable; what does not fit ends in "…"."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import ActiveBinding
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, TextArea

from tui_tuner.screens.key_names import is_shown, key_name, label_of
from tui_tuner.screens.look.glyphs import is_plain

HELP_KEYS = ("question_mark", "f1")
MAX_LABEL = 24


class KeyBar(Widget):
    """Follows the screen's active bindings. The focused panel's own come first, then the station's, then the app's."""

    can_focus = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--label"}

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, ActiveBinding | None]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Text:
        line = Text(" ", no_wrap=True)
        self._places = []
        entries = self._entries()
        width = self.size.width - 9
        for active in entries:
            entry = self._entry(active)
            if line.cell_len + entry.cell_len > width:
                line.append("… ", style=self.get_component_rich_style("key-bar--label"))
                break
            start = line.cell_len
            line.append_text(entry)
            self._places.append((start, line.cell_len, active))
        if isinstance(self.screen, ModalScreen):
            return line  # help is about what lies below a dialog
        start = line.cell_len
        is_typing = isinstance(self.screen.focused, Input | TextArea)
        line.append("F1" if is_typing else "?", style=self.get_component_rich_style("key-bar--key"))
        line.append(" help", style=self.get_component_rich_style("key-bar--label"))
        self._places.append((start, line.cell_len, None))
        return line

    async def on_click(self, event: events.Click) -> None:
        for start, end, active in self._places:
            if start <= event.x < end:
                action, node = (active.binding.action, active.node) if active is not None else ("app.help", self.screen)
                await self.app.run_action(action, node)

    def _entries(self) -> list[ActiveBinding]:
        """Shown bindings that do something now, one for each action of whoever takes it; `?` lists the others too."""
        found: dict[tuple[DOMNode, str], ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.enabled and is_shown(active) and active.binding.key not in HELP_KEYS:
                found.setdefault((active.node, active.binding.action), active)
        return list(found.values())

    def _entry(self, active: ActiveBinding) -> Text:
        binding = active.binding
        key = binding.key_display or key_name(binding.key, is_plain=is_plain(self.app))
        label = label_of(active)[:MAX_LABEL]
        entry = Text(key, style=self.get_component_rich_style("key-bar--key"))
        entry.append(f" {label}  ", style=self.get_component_rich_style("key-bar--label"))
        return entry
