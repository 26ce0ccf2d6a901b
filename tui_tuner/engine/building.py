"""Loads the model, puts the adapters in place, and gathers all that the training loop needs."""

import functools
import platform
import time
from importlib.metadata import version
from pathlib import Path

import torch

from tui_tuner import __version__
from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.engine.acceleration.accelerate import prepare
from tui_tuner.engine.adapters import add_adapters
from tui_tuner.engine.checkpoints.choosing import Checkpoint, checkpoint_folders
from tui_tuner.engine.checkpoints.identity import RunIdentity, device_name
from tui_tuner.engine.checkpoints.random_state import restore
from tui_tuner.engine.checkpoints.tensors import load_tensors
from tui_tuner.engine.checkpoints.writing import CheckpointWriter
from tui_tuner.engine.checks.packing import check_packing
from tui_tuner.engine.continuing.loading import load_inherited
from tui_tuner.engine.held_out import watch_held_out
from tui_tuner.engine.loading import load_model, model_folder
from tui_tuner.engine.loop import TrainingLoop
from tui_tuner.engine.optimizers import build_optimizer, trainable_groups
from tui_tuner.engine.saving.adapter_files import Provenance
from tui_tuner.engine.saving.files import fingerprint
from tui_tuner.engine.saving.results import ResultWriter
from tui_tuner.journal import RunJournal
from tui_tuner.plan import RunPlan
from tui_tuner.planning.weight_hashes import known_hashes

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors")


def build_loop(
    plan: RunPlan, data: LabelledData, controls: Controls, journal: RunJournal, checkpoint: Checkpoint | None
) -> TrainingLoop:
    """A loop that stands at the checkpoint, or before its first step.

    Raises:
        ModelError, MachineError: as `load_model` does.
        AdapterError: an adapter or a checkpoint does not fit the model.
    """
    torch.manual_seed(plan.recipe.training.seed)
    began = time.perf_counter()
    model = load_model(plan)
    weights_seconds = time.perf_counter() - began
    check_packing(model, plan, data.train)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    folder = model_folder(plan)
    provenance = _provenance(plan, data)
    loaded = None
    if plan.adapter.continues is not None and checkpoint is None:
        loaded = load_inherited(plan, model, trained, data, provenance)
    numbers = {group.name: number for number, group in enumerate(trainable_groups(trained, plan))}
    prepared = prepare(model, trained, plan, numbers)
    model = prepared.model
    optimizer = build_optimizer(trained, plan, prepared.flat)
    results = ResultWriter(model, trained, plan, provenance, journal.folder)
    identity = identity_of(plan, data, provenance.base_fingerprint, device_name(model.device))
    loop = TrainingLoop(
        plan=plan,
        model=model,
        trained=trained,
        data=data,
        optimizer=optimizer,
        held_out=watch_held_out(plan, data, model, folder),
        results=results,
        checkpoints=CheckpointWriter(results=results, optimizer=optimizer, journal=journal, identity=identity),
        controls=controls,
        loaded=loaded,
        weights_seconds=weights_seconds,
    )
    if checkpoint is not None:
        _go_back_to(checkpoint, loop)
    return loop


def identity_of(plan: RunPlan, data: LabelledData, base_fingerprint: str, device: str) -> RunIdentity:
    """What this run is made of, here and now."""
    return RunIdentity(
        plan=plan,
        base_fingerprint=base_fingerprint,
        base_files=base_files(plan),
        certificate=data.certificate,
        versions=library_versions(),
        device_name=device,
    )


def base_fingerprint(plan: RunPlan) -> str:
    """Identity of the base model's files."""
    folder = model_folder(plan)
    return fingerprint(folder / "config.json", [folder / name for name in plan.model.weight_files])


def base_files(plan: RunPlan) -> dict[str, str]:
    """sha256 of its weight files, as far as they are known."""
    return known_hashes(model_folder(plan), plan.model.weight_files)


@functools.cache
def library_versions() -> dict[str, str]:
    return {
        "tuner": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _provenance(plan: RunPlan, data: LabelledData) -> Provenance:
    return Provenance(
        base_fingerprint=base_fingerprint(plan),
        base_files=base_files(plan),
        data_hash=data.data_hash,
        template_hash=data.template_hash,
        template_text=data.template.text,
        tokenizer_folder=model_folder(plan),
        end_of_turn_ids=data.end_of_turn_ids,
        versions=library_versions(),
    )


def _go_back_to(checkpoint: Checkpoint, loop: TrainingLoop) -> None:
    """Put tensors, counters and generators where they were. The generators come last: building draws from them."""
    state = checkpoint.state
    load_tensors(checkpoint.folder, loop.trained, loop.optimizer, state.optimizer_numbers)
    loop.step = loop.last_saved = loop.last_save_tried = loop.last_look = state.step
    loop.position = state.position
    loop.learning_rate_scale = state.learning_rate_scale
    loop.last_eval, loop.last_answered = state.last_eval, state.last_answered
    loop.seconds_before = state.seconds
    loop.held_out.best_loss = state.best_loss
    loop.checkpoints.whole = checkpoint_folders(checkpoint.folder.parent)
    if state.best is not None:
        moved = checkpoint.folder.with_name(Path(state.best.path).name)
        loop.checkpoints.best = state.best.model_copy(update={"path": str(moved)})
    loop.go_on_with(state.fit)
    restore(state.random, loop.model.device)
