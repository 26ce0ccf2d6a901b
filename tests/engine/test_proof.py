"""The proof passes for what was trained and for nothing else."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.tiny_runs import recipe_in
from tests.tiny import write_tiny_model
from tui_tuner.data.labels import LabelledExample
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.evaluation import evaluate
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.loading import load_model
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.proof import prove
from tui_tuner.engine.saving.adapter_files import CONFIG, WEIGHTS, save_adapter
from tui_tuner.errors import AdapterError
from tui_tuner.events import ProofFinished
from tui_tuner.hardware import probe_hardware
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import make_plan, refine_plan

WHOLE = 'adapter.modules_to_save=["embed_tokens", "norm"]'


@dataclass(frozen=True)
class Trained:
    """A model with adapters that do something, and the folder in which they were saved."""

    plan: RunPlan
    model: TrainingModel
    trained: TrainedSet
    rows: tuple[LabelledExample, ...]
    folder: Path

    def proof(self) -> ProofFinished:
        return prove(self.model, self.trained, self.plan, self.folder, self.rows)


def trained_in(folder: Path, *overrides: str, std: float = 0.1) -> Trained:
    plan = make_plan(recipe_in(folder, *overrides), probe_hardware())
    labelling = label_with_progress(plan)
    while True:
        try:
            next(labelling)
        except StopIteration as ended:
            data = ended.value
            break
    plan = refine_plan(plan, data.facts)
    model = load_model(plan)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    torch.manual_seed(1)
    with torch.no_grad():
        for one in trained.tensors:
            if one.group != "lora_A":
                one.parameter.add_(torch.randn_like(one.parameter) * std)
    (folder / "saved").mkdir()
    save_adapter(folder / "saved", trained, plan)
    return Trained(plan, model, trained, data.train, folder / "saved")


@pytest.mark.parametrize("overrides", [(), (WHOLE,), ("adapter.variant=dora",)])
def test_what_was_saved_passes(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    proof = trained_in(tmp_path, *overrides).proof()
    assert proof.passed
    assert proof.max_difference_to_live < 1e-5 < proof.mean_difference_to_base
    assert proof.kl_to_base > 0


@pytest.mark.parametrize("overrides", [(), (WHOLE,)])
def test_the_base_of_the_comparison_is_the_untrained_model(tmp_path: Path, overrides: tuple[str, ...]) -> None:
    case = trained_in(tmp_path, *overrides)
    base = evaluate(load_model(case.plan), case.rows, 4)
    assert case.proof().loss_base == pytest.approx(base.loss, abs=1e-5)


def test_a_tensor_that_changed_on_disk_fails(tmp_path: Path) -> None:
    case = trained_in(tmp_path)
    tensors = load_file(case.folder / WEIGHTS)
    name = min(tensors)
    tensors[name][0, 0] += 1e-6
    save_file(tensors, case.folder / WEIGHTS, metadata={"format": "pt"})
    proof = case.proof()
    assert not proof.passed
    assert proof.message == f"1 saved tensors differ from the model in memory, first {name}"


def test_settings_that_changed_on_disk_fail(tmp_path: Path) -> None:
    case = trained_in(tmp_path)
    config = json.loads((case.folder / CONFIG).read_text())
    (case.folder / CONFIG).write_text(json.dumps(config | {"lora_alpha": 2 * config["lora_alpha"]}))
    proof = case.proof()
    assert not proof.passed
    assert proof.message.startswith("the saved adapter answers otherwise than the live model")


def test_an_adapter_that_does_nothing_fails(tmp_path: Path) -> None:
    proof = trained_in(tmp_path, std=0.0).proof()
    assert not proof.passed
    assert proof.message == "this adapter does nothing: with it the model answers exactly as the base"
    assert proof.max_difference_to_live == 0.0


def test_the_adapter_of_another_run_fails(tmp_path: Path) -> None:
    case = trained_in(tmp_path)
    for tensor in case.trained.tensors:
        tensor.parameter.data += 0.01
    proof = case.proof()
    assert not proof.passed
    assert "saved tensors differ" in proof.message


def test_the_adapter_of_another_base_cannot_be_read_back(tmp_path: Path) -> None:
    case = trained_in(tmp_path)
    (tmp_path / "other").mkdir()
    write_tiny_model(tmp_path / "other" / "model", hidden_size=64, head_dim=16)
    other = trained_in(tmp_path / "other")
    with pytest.raises(AdapterError, match="could not be put on its base model"):
        prove(case.model, case.trained, case.plan, other.folder, case.rows)


def test_a_model_that_answers_with_no_number_fails(tmp_path: Path) -> None:
    case = trained_in(tmp_path)
    with torch.no_grad():
        case.trained.tensors[1].parameter.fill_(torch.nan)
    save_adapter(case.folder, case.trained, case.plan)
    assert not case.proof().passed
