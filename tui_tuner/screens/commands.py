"""The command palette: every action of the screen, every station, the themes and the glyph sets."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.binding import ActiveBinding
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.screen import Screen

from tui_tuner.screens.key_names import key_name, label_of
from tui_tuner.screens.look.glyphs import GLYPH_SETS
from tui_tuner.screens.stations import STATIONS

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp


MOVES = ("list.", "focus.")
"""Beginnings of the names of keys that only move the cursor or the focus."""


class Commands(Provider):
    """All commands in the order that `palette_commands` gives them: what can be done here comes first."""

    async def discover(self) -> Hits:
        for command in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(command.title, command.callback, help=command.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in self.app.get_system_commands(self.screen):
            score = matcher.match(command.title)
            if score > 0:
                yield Hit(score, matcher.highlight(command.title), command.callback, help=command.help)


def palette_commands(app: "TunerApp", screen: Screen[object]) -> Iterable[SystemCommand]:
    """All that can be done here and now, named "verb: object" or by the label that the key bar shows."""
    for active in _actions(screen):
        if active.node is not app:
            run = partial(app.run_action, active.binding.action, active.node)
            yield SystemCommand(f"here: {label_of(active)}", f"key {key_name(active.binding.key)}", run)
    for entry in STATIONS:
        yield SystemCommand(f"go: {entry.title}", f"key {entry.key}", partial(app.go_to, entry.name))
    yield SystemCommand("open: Doctor", "the machine, its GPU, disk and packages", app.action_doctor)
    yield SystemCommand("help: this panel", "what it is about, and its keys", app.action_help)
    for name in sorted(app.available_themes):
        if name != app.theme:
            yield SystemCommand(f"theme: {name}", "colours of the app", partial(app.use_theme, name))
    for glyphs in GLYPH_SETS:
        if glyphs != app.glyphs.name:
            yield SystemCommand(f"glyphs: {glyphs}", "signs, bars and charts", partial(app.use_glyphs, glyphs))
    yield SystemCommand("glyphs: auto", "what this terminal can show", partial(app.use_glyphs, "auto"))
    yield SystemCommand("leave", "a run in its own session goes on", app.action_leave)


def _actions(screen: Screen[object]) -> Iterable[ActiveBinding]:
    """One binding for each action that is possible now, those of the key bar first; moving about is none of them."""
    found: dict[tuple[object, str, str], ActiveBinding] = {}
    for active in screen.active_bindings.values():
        if active.enabled and label_of(active) and not (active.binding.id or "").startswith(MOVES):
            found.setdefault((active.node, active.binding.action, label_of(active)), active)
    return sorted(found.values(), key=lambda active: not active.binding.show)
