"""Whether a run can write what it will want to write, asked before anything is loaded."""

import shutil
import tempfile
from pathlib import Path

from tui_tuner.errors import MachineError
from tui_tuner.journal import name_taken
from tui_tuner.places import path_of
from tui_tuner.plan import RunPlan
from tui_tuner.units import file_size

KEPT_BESIDE = 1
"""The best checkpoint is kept beside the last ones."""
JOURNAL_BYTES = 64_000_000
"""Events, log, tokenizer and reports."""


def bytes_needed(plan: RunPlan) -> int:
    """Disk that a run takes at most: checkpoints with optimizer states, one being written, and the final adapter."""
    checkpoints = plan.recipe.training.keep_checkpoints + KEPT_BESIDE + 1
    return checkpoints * _checkpoint_bytes(plan) + plan.adapter.adapter_bytes + JOURNAL_BYTES


def bytes_needed_to_resume(plan: RunPlan) -> int:
    """Disk that a run still takes whose checkpoints lie there already: one that is being written, and the result."""
    return _checkpoint_bytes(plan) + plan.adapter.adapter_bytes + JOURNAL_BYTES


def _checkpoint_bytes(plan: RunPlan) -> int:
    masters = 4 * plan.adapter.num_trainable if plan.adapter.method == "full" else 0
    return plan.adapter.adapter_bytes + plan.memory.optimizer + masters


def check_output(plan: RunPlan) -> None:
    """Ask for a plan's runs folder, and whether the run can have the name that its recipe gives it.

    Raises:
        RunError: there is one of that name.
        MachineError: as `check_folder` does.
    """
    output = plan.recipe.output
    folder = path_of(output.folder)
    check_folder(folder, bytes_needed(plan))
    if output.name != "auto" and (folder / output.name).exists():
        raise name_taken(folder / output.name)


def check_folder(folder: Path, needed: int) -> None:
    """Try the runs folder, or the nearest folder above it that exists. Leaves nothing behind.

    Raises:
        MachineError: it is no folder, cannot be written to, or its disk has less than `needed` bytes free.
    """
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise MachineError(
            f"The runs folder cannot be {folder}: {existing} is a file.", "Set output.folder to a folder."
        )
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise MachineError(
            f"The runs folder {folder} cannot be written to: {error.strerror}.", "Set output.folder to one of your own."
        ) from error
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise MachineError(
            f"The disk of {existing} has {file_size(free)} free, the run needs up to {file_size(needed)}.",
            "Free some space, set output.folder to another disk, or lower training.keep_checkpoints.",
        )
