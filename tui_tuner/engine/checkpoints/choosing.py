"""Finds the checkpoint that a run goes on from: the newest one that is whole."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from tui_tuner.engine.checkpoints.identity import RunIdentity
from tui_tuner.engine.checkpoints.manifest import verify
from tui_tuner.engine.checkpoints.training_state import TrainingState
from tui_tuner.errors import RunError
from tui_tuner.journal.listing import CHECKPOINT_NAME

STATE = "training_state.json"
IDENTITY = "identity.json"
SET_ASIDE = "damaged-"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder that was verified, and what it says; its tensors are still on the disk."""

    folder: Path
    state: TrainingState
    identity: RunIdentity


@dataclass(frozen=True, slots=True)
class Damaged:
    """A folder that is not what was written, and why."""

    folder: Path
    reason: str


def checkpoint_folders(folder: Path) -> list[Path]:
    """The checkpoints of a run, oldest first, whole or not."""
    found = {path: CHECKPOINT_NAME.fullmatch(path.name) for path in folder.glob("step-*")}
    numbers = {path: (int(match[1]), int(match[2] or 1)) for path, match in found.items() if match}
    return sorted(numbers, key=lambda path: numbers[path])


def newest_whole(folder: Path) -> tuple[Checkpoint | None, tuple[Damaged, ...]]:
    """The newest checkpoint that is whole, and the newer ones that are not."""
    damaged: list[Damaged] = []
    for one in reversed(checkpoint_folders(folder)):
        try:
            return read_checkpoint(one), tuple(damaged)
        except RunError as error:
            damaged.append(Damaged(one, error.message))
    return None, tuple(damaged)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Verify a checkpoint and read all but its tensors. Raises RunError saying what is wrong with it."""
    manifest = verify(folder)
    try:
        state = TrainingState.model_validate_json((folder / STATE).read_bytes())
        identity = RunIdentity.model_validate_json((folder / IDENTITY).read_bytes())
    except (OSError, ValidationError) as error:
        raise RunError(f"{folder} was written by another version of tuner.") from error
    if state.step != manifest.step:
        raise RunError(f"{folder} holds the files of two checkpoints: steps {manifest.step} and {state.step}.")
    return Checkpoint(folder, state, identity)


def set_aside(damaged: Damaged) -> Path:
    """Rename a damaged checkpoint, so that it is neither taken nor in the way; returns where it lies now."""
    target = damaged.folder.with_name(f"{SET_ASIDE}{damaged.folder.name}")
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{SET_ASIDE}{damaged.folder.name}-{number}")
    return damaged.folder.rename(target)
