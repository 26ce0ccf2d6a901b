"""The one way to train: a recipe and controls in, typed events out. Everything else about a run is watching.

Nothing is written before the recipe, the model's files and every label have been checked.
"""

import os
import platform
import time
import traceback
from collections.abc import Iterator
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import torch

from tui_tuner import __version__
from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.data.label_pieces import label_pieces
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.engine.adapter_files import Provenance, load_adapter
from tui_tuner.engine.adapters import add_adapters
from tui_tuner.engine.batch_check import check_batches
from tui_tuner.engine.files import fingerprint
from tui_tuner.engine.held_out import watch_held_out
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.loading import load_model, model_folder
from tui_tuner.engine.loop import TrainingLoop
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import GroupedOptimizer
from tui_tuner.engine.packing_check import check_packing
from tui_tuner.engine.proof import prove
from tui_tuner.engine.results import ResultWriter
from tui_tuner.errors import TrainingError, TunerError
from tui_tuner.events import (
    DataReady,
    ModelReady,
    Outcome,
    Phase,
    PhaseStarted,
    RowLabelled,
    RunFailed,
    RunFinished,
    RunStarted,
    RunState,
    TrainEvent,
    WarningRaised,
)
from tui_tuner.hardware import probe_hardware
from tui_tuner.journal import RunJournal, new_run_id
from tui_tuner.plan import RunPlan
from tui_tuner.planning.preflight import check_output
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan
from tui_tuner.recipe import Recipe, recipe_to_toml

PACKAGES = ("torch", "transformers", "peft", "bitsandbytes", "tokenizers", "safetensors")


def run(recipe: Recipe, controls: Controls) -> Iterator[TrainEvent]:
    """Everything from a recipe to a proven adapter; the caller only watches, and steers through `controls`.

    The last event is RunFinished or RunFailed. An abort is no error: it ends with RunFailed and raises nothing.

    Raises:
        TunerError: after the journal has it as RunFailed, where the run's folder exists already.
    """
    plan = make_plan(recipe, probe_hardware())
    check_output(plan)
    runs_folder = Path(recipe.output.folder).expanduser()
    run_id = recipe.output.name if recipe.output.name != "auto" else new_run_id(plan.model.source, runs_folder)
    started = RunStarted(
        run_id=run_id, folder=str(runs_folder / run_id), plan=plan, versions=_versions(), process_id=os.getpid()
    )
    yield started
    labelling = PhaseStarted(phase=Phase.LABELLING, detail=", ".join(source.path for source in plan.data.sources))
    yield labelling
    data = yield from label_with_progress(plan)
    plan = fetch_weights(refine_plan(plan, data.facts))
    ready = DataReady(
        data=plan.data,
        schedule=plan.schedule,
        data_hash=data.data_hash,
        template_hash=data.template_hash,
        padding_share=check_batches(data.train, plan),
    )
    with (
        RunJournal.create(runs_folder, run_id, recipe_to_toml(recipe), plan) as journal,
        library_output_to(journal.log_path),
    ):
        journal.write_certificate(data.certificate.model_dump_json(indent=2))
        recorder = _Recorder(journal)
        for event in (started, labelling):
            recorder.record(event)
        ready_to_load = (ready, _first_row(plan, data))
        yield from _recorded(chain(ready_to_load, _phases(plan, data, controls, recorder)), recorder)


def _first_row(plan: RunPlan, data: LabelledData) -> RowLabelled:
    first = data.train[0]
    tokenizer = load_text_tokenizer(model_folder(plan))
    return RowLabelled(
        row=str(first.ref),
        pieces=tuple(label_pieces(first, tokenizer)),
        num_tokens=first.num_tokens,
        num_trained=first.num_trained,
    )


class _Recorder:
    """Writes each event to the journal before anyone sees it, and keeps their sum."""

    def __init__(self, journal: RunJournal) -> None:
        self.journal = journal
        self.state = RunState()

    def record(self, event: TrainEvent) -> TrainEvent:
        self.journal.append(event)
        self.state = self.state.after(event)
        return event


def _recorded(phases: Iterator[TrainEvent], recorder: _Recorder) -> Iterator[TrainEvent]:
    try:
        for event in phases:
            yield recorder.record(event)
    except TunerError as error:
        yield recorder.record(_failure(type(error).__name__, error.message, error.hint, recorder))
        raise
    except (GeneratorExit, KeyboardInterrupt):
        recorder.record(_aborted(recorder))
        raise
    except Exception as error:
        with recorder.journal.log_path.open("a", encoding="utf-8") as log:
            traceback.print_exc(file=log)
        hint = f"This is a bug in tuner; the traceback is in {recorder.journal.log_path}."
        yield recorder.record(_failure(type(error).__name__, str(error), hint, recorder))
        raise


def _aborted(recorder: _Recorder) -> RunFailed:
    return _failure("Aborted", "The run was aborted; what was saved before stays valid.", "", recorder)


def _failure(error: str, message: str, hint: str, recorder: _Recorder) -> RunFailed:
    return RunFailed(error=error, message=message, hint=hint, step=recorder.state.step)


def _phases(plan: RunPlan, data: LabelledData, controls: Controls, recorder: _Recorder) -> Iterator[TrainEvent]:
    for message in (*plan.warnings, *data.warnings):
        yield WarningRaised(message=message)
    yield PhaseStarted(phase=Phase.LOADING, detail=plan.model.source)
    began = time.perf_counter()
    loop = _build(plan, data, controls, recorder)
    yield ModelReady(
        groups=loop.optimizer.groups,
        num_trainable=loop.trained.num_parameters,
        num_total=plan.adapter.num_total,
        base_fingerprint=loop.results.provenance.base_fingerprint,
        swaps=_swaps(plan, loop.model),
        seconds=time.perf_counter() - began,
    )
    if (data.evaluation or loop.held_out.sample_questions) and not controls.is_stopping:
        yield PhaseStarted(phase=Phase.BASELINE, detail="the base model on the held-out rows")
        yield from loop.look_at_base()
    yield PhaseStarted(phase=Phase.TRAINING, detail=f"{plan.schedule.total_steps:,} steps")
    yield from loop.train()
    if controls.is_aborting:
        yield _aborted(recorder)
        return
    if loop.step == 0:
        yield _finished(loop, recorder, began, adapter="")
        return
    yield from loop.look_at_result()
    yield PhaseStarted(phase=Phase.SAVING)
    folder = loop.results.save_result(recorder.state)
    yield PhaseStarted(phase=Phase.PROVING, detail="the saved weights, read back, against the live model and the base")
    proof = prove(loop.model, loop.trained, plan, folder, data.evaluation or data.train)
    yield proof
    if not proof.passed:
        raise TrainingError(f"The proof failed: {proof.message}.", "Do not use this adapter; please report this.")
    yield _finished(loop, recorder, began, adapter=str(folder))


def _build(plan: RunPlan, data: LabelledData, controls: Controls, recorder: _Recorder) -> TrainingLoop:
    """Load the model, put the adapters in place, and gather all that the loop needs."""
    torch.manual_seed(plan.recipe.training.seed)
    model = load_model(plan)
    check_packing(model, plan, data.train)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    if plan.adapter.continues is not None:
        load_adapter(Path(plan.adapter.continues), trained)
    folder = model_folder(plan)
    provenance = Provenance(
        base_fingerprint=fingerprint(folder / "config.json", [folder / name for name in plan.model.weight_files]),
        data_hash=data.data_hash,
        template_hash=data.template_hash,
        template_text=data.template.text,
        tokenizer_folder=folder,
        end_of_turn_ids=data.end_of_turn_ids,
        versions=_versions(),
    )
    return TrainingLoop(
        plan=plan,
        model=model,
        trained=trained,
        data=data,
        optimizer=GroupedOptimizer(trained, plan),
        held_out=watch_held_out(plan, data, model, folder),
        results=ResultWriter(model, trained, plan, provenance, recorder.journal.folder),
        controls=controls,
    )


def _swaps(plan: RunPlan, model: TrainingModel) -> tuple[str, ...]:
    """What stands in for the model's own code, in words."""
    adapters = (f"{len(plan.adapter.targets)} linear modules carry adapters",) if plan.adapter.targets else ()
    loss = (
        "loss from the supervised rows only, without full logits" if model.head else "loss from the model's own logits"
    )
    return (*adapters, loss)


def _finished(loop: TrainingLoop, recorder: _Recorder, began: float, adapter: str) -> RunFinished:
    best = recorder.state.best_eval
    is_complete = loop.step >= loop.plan.schedule.total_steps
    return RunFinished(
        outcome=Outcome.COMPLETED if is_complete else Outcome.STOPPED,
        step=loop.step,
        adapter=adapter,
        best_loss=best.loss if best else None,
        best_step=best.step if best else None,
        seconds=time.perf_counter() - began,
        tokens=recorder.state.tokens,
    )


def _versions() -> dict[str, str]:
    return {
        "tuner": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }
