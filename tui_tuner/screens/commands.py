"""The command palette: every action of the screen, every station, the themes and the glyph sets."""

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.screen import Screen

from tui_tuner.screens.glyphs import GLYPH_SETS
from tui_tuner.screens.key_names import key_name, label_of
from tui_tuner.screens.stations import STATIONS

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp


def palette_commands(app: "TunerApp", screen: Screen[object]) -> Iterable[SystemCommand]:
    """All that can be done here and now, named "verb: object" or by the label that the key bar shows."""
    for active in screen.active_bindings.values():
        binding = active.binding
        label = label_of(active)
        if active.enabled and active.node is not app and label:
            run = partial(app.run_action, binding.action, active.node)
            yield SystemCommand(f"here: {label}", f"key {key_name(binding.key)}", run)
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
