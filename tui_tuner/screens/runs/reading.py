"""Reads one run, or several, for the inspector and the comparison. Runs in a thread; a journal may be long."""

from pathlib import Path

from tui_tuner.errors import TunerError
from tui_tuner.events import RunState
from tui_tuner.journal import read_state
from tui_tuner.journal.writing import RECIPE_NAME
from tui_tuner.recipe import Recipe, read_recipe
from tui_tuner.screens.runs.catalogue import RunEntry
from tui_tuner.screens.runs.differences import recipe_differences
from tui_tuner.screens.runs.inspector import Inspection


def inspect(entry: RunEntry, other: RunEntry | None) -> Inspection:
    """The run, beside the one it is compared with; what cannot be read is left out."""
    recipe, before = recipe_of(entry), recipe_of(other) if other else None
    differences = recipe_differences((before, recipe)) if recipe and before else ()
    return Inspection(
        entry=entry,
        state=state_of(entry),
        compared_with=other.summary.id if other else "",
        differences=differences,
        adapter_bytes=_adapter_bytes(Path(entry.summary.folder)),
    )


def state_of(entry: RunEntry) -> RunState:
    """The fold of the journal; an empty one where it cannot be read, which the list says already."""
    try:
        return read_state(Path(entry.summary.folder))
    except TunerError:
        return RunState()


def recipe_of(entry: RunEntry) -> Recipe | None:
    """The recipe that the run was started with; None where it is gone or from another version."""
    try:
        return read_recipe(Path(entry.summary.folder) / RECIPE_NAME)
    except TunerError:
        return None


def _adapter_bytes(folder: Path) -> int | None:
    try:
        return (folder / "adapter" / "adapter_model.safetensors").stat().st_size
    except OSError:
        return None
