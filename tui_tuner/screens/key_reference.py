"""docs/keys.md: every key, read from the bindings themselves."""

import importlib
import pkgutil
from collections.abc import Iterator

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widget import Widget

from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.key_names import key_name
from tui_tuner.screens.opening import open_station
from tui_tuner.screens.stations import STATIONS
from tui_tuner.screens.widgets.line_list import LineList

HEAD = """\
# Keys

Written from the app's bindings by `make docs`. The last line of every screen shows what works there and now, `?` says
all of it with what the focused panel is about, and `ctrl+p` finds it by name. Whatever the mouse can do, a key can.
"""


def key_reference() -> str:
    """The page."""
    parts = [HEAD, _table("Everywhere", TunerApp), _table("In every list", LineList)]
    for entry in STATIONS:
        station = type(open_station(entry.name))
        parts.append(_table(f"{entry.key} {entry.title}", station, f"tui_tuner.screens.{entry.name}"))
    from tui_tuner.screens.doctor.screen import DoctorScreen

    parts.append(_table("F9 Doctor", DoctorScreen, DoctorScreen.__module__.rpartition(".")[0]))
    return "\n".join(parts)


def _table(title: str, owner: type[DOMNode], package: str = "") -> str:
    lines = [f"## {title}", "", "| key | what it does | where |", "|---|---|---|"]
    for where, one in (("", owner), *_parts(package)):
        for binding in own_bindings(one):
            keys = " ".join(f"`{key_name(key)}`" for key in _keys(binding))
            lines.append(f"| {keys} | {binding.description} | {where} |")
    return "\n".join((*lines, ""))


def own_bindings(owner: type[DOMNode]) -> tuple[Binding, ...]:
    """Those that the class itself declares, one for each action with a description."""
    declared = owner.__dict__.get("BINDINGS", ())
    return tuple(one for one in declared if isinstance(one, Binding) and one.description)


def _keys(binding: Binding) -> Iterator[str]:
    for key in binding.key.split(","):
        yield key.strip()


def _parts(package: str) -> Iterator[tuple[str, type[DOMNode]]]:
    """Panels and dialogs of a station that have keys of their own, by the names of their modules."""
    if not package:
        return
    folder = importlib.import_module(package).__path__
    for module in sorted(one.name for one in pkgutil.iter_modules(folder)):
        for found in vars(importlib.import_module(f"{package}.{module}")).values():
            is_own = isinstance(found, type) and found.__module__ == f"{package}.{module}"
            if is_own and module != "screen" and issubclass(found, Widget) and own_bindings(found):
                yield _place(found), found


def _place(owner: type[Widget]) -> str:
    """What a person would call it: "file picker (dialog)" for FilePicker."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in owner.__name__).strip()
    return f"{words} (dialog)" if issubclass(owner, ModalScreen) and "dialog" not in words else words
