"""What a run leaves on disk: checkpoints while it trains, and the result at its end. Each is complete or not there."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.engine.adapter_files import Provenance, save_adapter, save_manifest, save_text_side
from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.files import complete_folder
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.model_card import model_card
from tui_tuner.engine.model_files import save_model
from tui_tuner.events import CheckpointSaved, RunState
from tui_tuner.plan import RunPlan


@dataclass(slots=True)
class ResultWriter:
    """Writes one run's results; remembers which checkpoint is the best and forgets old ones."""

    model: TrainingModel
    trained: TrainedSet
    plan: RunPlan
    provenance: Provenance
    run_folder: Path
    best: CheckpointSaved | None = None

    def save_checkpoint(self, step: int, loss: float | None) -> CheckpointSaved:
        """Save the weights as they are. `loss` is the held-out loss at this step, where it was measured.

        Raises:
            MachineError: the disk is full; earlier checkpoints stay valid.
        """
        folder = self.run_folder / "checkpoints" / f"step-{step:06d}"
        with complete_folder(folder) as building:
            self._write_weights(building)
            (building / "training_state.json").write_text(json.dumps({"step": step, "loss": loss}) + "\n")
        is_best = loss is not None and (self.best is None or self.best.loss is None or loss < self.best.loss)
        saved = CheckpointSaved(step=step, path=str(folder), loss=loss, is_best=is_best)
        if is_best:
            self.best = saved
        self._forget_old(folder)
        return saved

    def save_result(self, state: RunState) -> Path:
        """Write the finished adapter, or the whole model where all of it was trained, with its card."""
        name = "model" if self.plan.adapter.method == "full" else "adapter"
        folder = self.run_folder / name
        with complete_folder(folder) as building:
            (building / "README.md").write_text(model_card(self.plan, state, self.provenance), encoding="utf-8")
            self._write_weights(building)
        return folder

    def _write_weights(self, folder: Path) -> None:
        if self.plan.adapter.method == "lora":
            save_adapter(folder, self.trained, self.plan)
        else:
            save_model(folder, self.model)
        save_text_side(folder, self.provenance)
        save_manifest(folder, self.trained, self.plan, self.provenance)

    def _forget_old(self, newest: Path) -> None:
        """Keep the last few checkpoints and the best one."""
        folders = sorted(path for path in newest.parent.iterdir() if path.name.startswith("step-"))
        kept = {str(newest), self.best.path if self.best else "", *map(str, folders[-self._keep :])}
        for path in folders:
            if str(path) not in kept:
                shutil.rmtree(path)

    @property
    def _keep(self) -> int:
        return self.plan.recipe.training.keep_checkpoints
