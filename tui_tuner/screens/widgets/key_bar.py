"""The last line: the keys that work here and now, most important first. Clickable; what does not fit ends in "…"."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from tui_tuner.screens.key_names import key_name

HELP_KEYS = ("question_mark", "f1")
MAX_LABEL = 24


class KeyBar(Widget):
    """Follows the screen's active bindings. The focused panel's own come first, then the station's, then the app's."""

    can_focus = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--label", "key-bar--disabled"}

    def __init__(self) -> None:
        super().__init__()
        self._places: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def render(self) -> Text:
        line = Text(" ", no_wrap=True)
        self._places = []
        entries = self._entries()
        width = self.size.width - 9
        for binding, is_enabled in entries:
            entry = self._entry(binding, is_enabled)
            if line.cell_len + entry.cell_len > width:
                line.append("… ", style=self.get_component_rich_style("key-bar--label"))
                break
            start = line.cell_len
            line.append_text(entry)
            self._places.append((start, line.cell_len, binding.action))
        start = line.cell_len
        line.append("?", style=self.get_component_rich_style("key-bar--key"))
        line.append(" help", style=self.get_component_rich_style("key-bar--label"))
        self._places.append((start, line.cell_len, "app.help"))
        return line

    async def on_click(self, event: events.Click) -> None:
        for start, end, action in self._places:
            if start <= event.x < end:
                await self.screen.run_action(action)

    def _entries(self) -> list[tuple[Binding, bool]]:
        """Shown bindings, one for each action, with whether the action can be taken now."""
        found: dict[str, tuple[Binding, bool]] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show and active.binding.key not in HELP_KEYS:
                found.setdefault(active.binding.action, (active.binding, active.enabled))
        return list(found.values())

    def _entry(self, binding: Binding, is_enabled: bool) -> Text:
        key = binding.key_display or key_name(binding.key)
        label = binding.description[:MAX_LABEL]
        part = "key" if is_enabled else "disabled"
        entry = Text(key, style=self.get_component_rich_style(f"key-bar--{part}"))
        entry.append(f" {label}  ", style=self.get_component_rich_style("key-bar--label"))
        return entry
