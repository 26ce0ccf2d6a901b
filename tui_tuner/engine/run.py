"""The one way to train: a recipe and controls in, typed events out. Everything else about a run is watching.

Nothing is written before the recipe, the model's files and every label have been checked.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from pathlib import Path

from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.data.label_pieces import label_pieces
from tui_tuner.data.tokenizer import load_text_tokenizer
from tui_tuner.engine.building import library_versions
from tui_tuner.engine.checks.batches import check_batches
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.loading import model_folder
from tui_tuner.engine.phases import phases
from tui_tuner.engine.recording import Recorder, recorded
from tui_tuner.events import DataReady, Phase, PhaseStarted, RowLabelled, RunStarted, TrainEvent
from tui_tuner.hardware import probe_hardware
from tui_tuner.journal import RunJournal, new_run_id
from tui_tuner.places import path_of
from tui_tuner.plan import RunPlan
from tui_tuner.planning.inheriting.origin import TEMPLATE_FILE
from tui_tuner.planning.preflight import check_output
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan
from tui_tuner.recipe import Recipe, recipe_to_toml
from tui_tuner.trackers.sending import TrackerSet


def run(recipe: Recipe, controls: Controls, *, run_id: str | None = None) -> Iterator[TrainEvent]:
    """Everything from a recipe to a proven adapter; the caller only watches, and steers through `controls`.

    `run_id` is for a caller who has promised a name already; else the recipe names the run, or the time does.
    The last event is RunFinished or RunFailed. An abort is no error: it ends with RunFailed and raises nothing.

    Raises:
        TunerError: after the journal has it as RunFailed, where the run's folder exists already.
    """
    plan = make_plan(recipe, probe_hardware()).model_copy(update={"rendered_at": datetime.now()})
    check_output(plan)
    runs_folder = path_of(recipe.output.folder)
    if run_id is None:
        run_id = recipe.output.name if recipe.output.name != "auto" else new_run_id(plan.model.source, runs_folder)
    started = RunStarted(
        run_id=run_id, folder=str(runs_folder / run_id), plan=plan, versions=library_versions(), process_id=os.getpid()
    )
    yield started
    labelling = labelling_of(plan)
    yield labelling
    data = yield from label_with_progress(plan)
    plan = _with_own_template(fetch_weights(refine_plan(plan, data.facts)), runs_folder / run_id)
    ready = data_ready(plan, data)
    with (
        RunJournal.create(runs_folder, run_id, recipe_to_toml(plan.recipe), plan) as journal,
        library_output_to(journal.log_path),
    ):
        if plan.recipe.data.chat_template == str(journal.folder.absolute() / TEMPLATE_FILE):
            (journal.folder / TEMPLATE_FILE).write_text(data.template.text, encoding="utf-8")
        journal.write_certificate(data.certificate.model_dump_json(indent=2))
        recorder = Recorder(journal, trackers=TrackerSet(plan, journal.folder))
        for event in (started, labelling):
            recorder.record(event)
        ready_to_load = (ready, _first_row(plan, data))
        yield from recorded(chain(ready_to_load, phases(plan, data, controls, recorder)), recorder)


def _with_own_template(plan: RunPlan, run_folder: Path) -> RunPlan:
    """A template that came with an adapter is kept in the run's folder: the run goes on when the adapter is gone."""
    data = plan.recipe.data
    if plan.adapter.continues is None or Path(data.chat_template).parent != Path(plan.adapter.continues).absolute():
        return plan
    data = data.model_copy(update={"chat_template": str(run_folder.absolute() / TEMPLATE_FILE)})
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"data": data})})


def labelling_of(plan: RunPlan) -> PhaseStarted:
    """The first phase of a plan."""
    return PhaseStarted(phase=Phase.LABELLING, detail=", ".join(source.path for source in plan.data.sources))


def data_ready(plan: RunPlan, data: LabelledData) -> DataReady:
    """The data of a refined plan, with its batches checked. Raises LabelError as `check_batches` does."""
    return DataReady(
        data=plan.data,
        schedule=plan.schedule,
        data_hash=data.data_hash,
        template_hash=data.template_hash,
        padding_share=check_batches(data.train, plan),
    )


def _first_row(plan: RunPlan, data: LabelledData) -> RowLabelled:
    first = data.train[0]
    tokenizer = load_text_tokenizer(model_folder(plan))
    return RowLabelled(
        row=str(first.ref),
        pieces=tuple(label_pieces(first, tokenizer)),
        num_tokens=first.num_tokens,
        num_trained=first.num_trained,
    )
