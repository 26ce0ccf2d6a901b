"""The result of a run on disk: the finished adapter, or the whole model, with its card. Complete or not there."""

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.saving.adapter_files import Provenance, save_adapter, save_manifest, save_text_side
from tui_tuner.engine.saving.files import complete_folder
from tui_tuner.engine.saving.model_card import model_card
from tui_tuner.engine.saving.model_files import save_model
from tui_tuner.events import EvalFinished, RunState
from tui_tuner.plan import RunPlan


@dataclass(slots=True)
class ResultWriter:
    """Writes the weights of one run, for people and programs to use."""

    model: TrainingModel
    trained: TrainedSet
    plan: RunPlan
    provenance: Provenance
    run_folder: Path

    def save_result(self, state: RunState) -> Path:
        """Write the finished adapter, or the whole model where all of it was trained, with its card."""
        name = "model" if self.plan.adapter.method == "full" else "adapter"
        folder = self.run_folder / name
        with complete_folder(folder) as building:
            (building / "README.md").write_text(model_card(self.plan, state, self.provenance), encoding="utf-8")
            self.write_weights(building, state.evals[-1] if state.evals else None)
        return folder

    def write_weights(self, folder: Path, measured: EvalFinished | None = None) -> None:
        """Fill a folder with the weights as they are, tokenizer, template, and the ledger of what was trained."""
        if self.plan.adapter.method == "lora":
            save_adapter(folder, self.trained, self.plan)
        else:
            save_model(folder, self.model)
        save_text_side(folder, self.provenance)
        save_manifest(folder, self.trained, self.plan, self.provenance, measured)
