"""The question which adapter to go on training, if any."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from tui_tuner.planning.local_models import LocalAdapter
from tui_tuner.safe_text import one_line
from tui_tuner.screens.dialogs.pick import Pick
from tui_tuner.screens.dialogs.text_prompt import TextPrompt
from tui_tuner.screens.look.inks import Inks
from tui_tuner.units import ago

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

NEW, OTHER = 0, 1
INHERITED = "Rank, alpha, variant, targets and whole modules are taken from it."


async def choose_adapter(tuner: "TunerApp", adapters: Sequence[LocalAdapter], inks: Inks) -> None:
    """Ask, and put the answer into the draft. A draft without a model takes the adapter's base."""
    draft = tuner.draft
    current = draft.get("model", "adapter")
    answer = await tuner.push_screen_wait(pick_adapter(adapters, current, tuner.environment.clock(), inks))
    if answer is None:
        return
    folder: str | None = None
    if answer == OTHER:
        folder = await tuner.push_screen_wait(TextPrompt("Adapter folder", current or ""))
        if not folder:
            return
    elif answer != NEW:
        adapter = adapters[answer - 2]
        folder = str(adapter.folder)
        if not draft.get("model", "source") and adapter.base_name:
            draft = draft.with_value(adapter.base_name, "model", "source")
    tuner.change_draft(draft.with_value(folder, "model", "adapter"))


def pick_adapter(adapters: Sequence[LocalAdapter], current: str | None, now: float, inks: Inks) -> Pick:
    """The dialog: a new adapter, a folder to be typed, then what was found, newest first."""
    lines = [Text("a new adapter", style=inks.plain), Text("another folder…", style=inks.plain)]
    notes = [
        "Training starts from nothing: the first step answers exactly as the base model does.",
        "Name a folder that holds adapter_config.json and adapter_model.safetensors.",
    ]
    at = NEW
    for number, adapter in enumerate(adapters, start=2):
        line = Text(one_line(short_folder(adapter), 40).ljust(42), style=inks.train)
        rank = f"rank {adapter.rank}" if adapter.rank else ""
        line.append(f"{rank:<9}{ago(adapter.modified, now)}", style=inks.muted)
        lines.append(line)
        trained_on = one_line(adapter.base_name, 120) or "a base that it does not name"
        notes.append(f"{one_line(str(adapter.folder), 200)}\ntrained on {trained_on}\n{INHERITED}")
        if current == str(adapter.folder):
            at = number
    return Pick("Continue from an adapter", lines, at, notes)


def short_folder(adapter: LocalAdapter) -> str:
    """The last two parts of its path: "support-v1/adapter"."""
    return "/".join(adapter.folder.parts[-2:])
