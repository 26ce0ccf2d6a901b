"""Writes checkpoints of a running training, and forgets old ones. Never touches the last whole one."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tui_tuner.engine.checkpoints.choosing import IDENTITY, STATE
from tui_tuner.engine.checkpoints.identity import RunIdentity
from tui_tuner.engine.checkpoints.manifest import write_manifest
from tui_tuner.engine.checkpoints.tensors import Numbers, save_tensors, tensor_bytes
from tui_tuner.engine.checkpoints.training_state import TrainingState
from tui_tuner.engine.optimizers import Optimizer
from tui_tuner.engine.saving.adapter_files import text_bytes
from tui_tuner.engine.saving.files import complete_folder, remove_folder
from tui_tuner.engine.saving.results import ResultWriter
from tui_tuner.errors import MachineError
from tui_tuner.events import CheckpointSaved
from tui_tuner.journal import RunJournal

JSON_BYTES = 1_000_000
"""More than a checkpoint's JSON files take."""
MIB = 2**20
StateOf = Callable[[CheckpointSaved, CheckpointSaved | None, Numbers], TrainingState]
"""(this checkpoint, the best one, the optimizer's numbers) -> what is written."""


@dataclass(slots=True, kw_only=True)
class CheckpointWriter:
    """One run's checkpoints: which there are, which is the best, and where the next one goes."""

    results: ResultWriter
    optimizer: Optimizer
    journal: RunJournal
    identity: RunIdentity
    whole: list[Path] = field(default_factory=list)
    """Checkpoints that were not found damaged, oldest first; only these are counted, and only these are removed."""
    best: CheckpointSaved | None = None

    def save(self, step: int, loss: float | None, state_of: StateOf) -> CheckpointSaved:
        """Save everything as it is between two steps. `loss` is the held-out loss at this step, where it was measured.

        Raises:
            MachineError: the disk is full; earlier checkpoints stay valid.
        """
        folder = self._free_folder(step)
        self._check_room(folder)
        is_best = loss is not None and (self.best is None or self.best.loss is None or loss < self.best.loss)
        saved = CheckpointSaved(step=step, path=str(folder), loss=loss, is_best=is_best)
        best = saved if is_best else self.best
        # What the checkpoint says has happened must not be lost while the checkpoint stays.
        self.journal.sync()
        with complete_folder(folder) as building:
            self.results.write_weights(building)
            is_full = self.identity.plan.adapter.method == "full"
            numbers = save_tensors(building, self.results.trained, self.optimizer, is_full=is_full)
            (building / STATE).write_text(state_of(saved, best, numbers).model_dump_json(), encoding="utf-8")
            (building / IDENTITY).write_text(self.identity.model_dump_json(), encoding="utf-8")
            write_manifest(building, step)
        self.best = best
        self.whole.append(folder)
        self._forget_old()
        return saved

    def _free_folder(self, step: int) -> Path:
        """A checkpoint never replaces another: while that happened there would be none."""
        folder = self.journal.checkpoints_folder / f"step-{step:06d}"
        number = 1
        while folder.exists():
            number += 1
            folder = folder.with_name(f"step-{step:06d}-{number}")
        return folder

    def _check_room(self, folder: Path) -> None:
        needed = tensor_bytes(self.results.trained, self.optimizer) + text_bytes(self.results.provenance) + JSON_BYTES
        try:
            # Somebody who removes all checkpoints of a living run wants their room, not the run's end.
            folder.parent.mkdir(mode=0o700, exist_ok=True)
            free = shutil.disk_usage(folder.parent).free
        except OSError as error:
            raise MachineError(f"{folder} could not be written: {error.strerror}.") from error
        if free < needed:
            raise MachineError(
                f"{folder} could not be written: the disk is full. It takes {needed / MIB:,.1f} MiB, "
                f"{free / MIB:,.1f} MiB are free.",
                f"Free disk space, then go on with `tuner resume {self.journal.folder}`.",
            )

    def _forget_old(self) -> None:
        """Keep the last few checkpoints and the best one."""
        best = Path(self.best.path) if self.best else None
        num_kept = self.identity.plan.recipe.training.keep_checkpoints
        for folder in self.whole[:-num_kept]:
            if folder == best:
                continue
            try:
                remove_folder(folder)
            except OSError:
                return  # The next checkpoint tries again; one too many is better than a run that ends.
            self.whole.remove(folder)
