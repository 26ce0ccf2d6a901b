"""States of the Model station that are worth a picture. Each takes a folder and gives an app and the keys to press."""

from pathlib import Path

from tests.screens.hollow_models import hollow_hub
from tests.screens.world import GPU_BOX, LAPTOP, make_app
from tui_tuner.screens.app import TunerApp


def empty(folder: Path) -> TunerApp:
    """No cache and no folders: only the starter is there."""
    return make_app(folder, LAPTOP)


def filled(folder: Path) -> TunerApp:
    """Four models in the cache, on a GPU box."""
    hollow_hub(folder / "hub")
    return make_app(folder, GPU_BOX)


KEYS = {"filled": ("2", "j", "enter"), "empty": ("2",), "unknown": ("2", "slash", "o", "r", "g", "slash", "x", "enter")}
"""After each the app must be given time to read: `settle` of tests.screens.settling."""
