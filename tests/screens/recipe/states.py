"""States of the Recipe station that are worth a picture."""

from pathlib import Path
from typing import Any

from tests.screens.hollow_models import hollow_hub
from tests.screens.world import GPU_BOX, make_app
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.draft_file import save_draft


def empty(folder: Path) -> TunerApp:
    """Nothing is chosen."""
    return make_app(folder, GPU_BOX)


def filled(folder: Path, tables: dict[str, Any] | None = None) -> TunerApp:
    """Qwen3-8B, with the sections of the call."""
    hollow_hub(folder / "hub")
    draft = Draft({"model": {"source": "Qwen/Qwen3-8B"}, **(tables or {})})
    save_draft(draft, folder / "state" / "draft.toml")
    return make_app(folder, GPU_BOX)


def wrong(folder: Path) -> TunerApp:
    """A learning rate that no recipe takes."""
    return filled(folder, {"optimizer": {"learning_rate": 3.0}})


KEYS = {"empty": ("5",), "filled": ("5",), "typing": ("5", "enter"), "presets": ("5", "p"), "toml": ("5", "v")}
