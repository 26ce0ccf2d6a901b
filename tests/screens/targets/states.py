"""States of the Targets station that are worth a picture."""

from pathlib import Path
from typing import Any

from tests.screens.hollow_models import hollow_hub
from tests.screens.world import GPU_BOX, make_app
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.draft_file import save_draft

QWEN: dict[str, Any] = {"model": {"source": "Qwen/Qwen3-8B"}}


def empty(folder: Path) -> TunerApp:
    """No model is chosen."""
    return make_app(folder, GPU_BOX)


def filled(folder: Path, **adapter: Any) -> TunerApp:
    """Qwen3-8B with the adapter settings of the call."""
    hollow_hub(folder / "hub")
    save_draft(Draft({**QWEN, "adapter": adapter}), folder / "state" / "draft.toml")
    return make_app(folder, GPU_BOX)


def wrong(folder: Path) -> TunerApp:
    """A target that the model does not have."""
    return filled(folder, targets=["q_prj"])


KEYS = {"empty": ("3",), "filled": ("3",), "toggled": ("3", "j", "j", "space"), "layers": ("3", "l"), "wrong": ("3",)}
