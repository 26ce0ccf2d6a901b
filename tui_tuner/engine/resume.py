"""Goes on with a run that ended before its end, from its newest whole checkpoint, bit for bit.

Nothing is written before everything that the run is made of was compared with what it was at the checkpoint.
"""

import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.engine.batches import epoch_sequences, order_hash
from tui_tuner.engine.building import base_fingerprint, identity_of, library_versions
from tui_tuner.engine.checkpoints.choosing import Checkpoint, Damaged, newest_whole, set_aside
from tui_tuner.engine.checkpoints.identity import (
    check_same_tensors,
    label_changes,
    other_changes,
    recipe_changes,
    refusal,
)
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.phases import phases
from tui_tuner.engine.recording import Recorder, recorded
from tui_tuner.engine.run import data_ready, labelling_of
from tui_tuner.engine.saving.files import sweep
from tui_tuner.errors import Change, RunError
from tui_tuner.events import (
    CheckpointSaved,
    Outcome,
    Progress,
    RunResumed,
    RunStarted,
    RunState,
    TrainEvent,
    WarningRaised,
)
from tui_tuner.hardware import probe_hardware
from tui_tuner.journal import RunJournal, read_events, read_state
from tui_tuner.journal.writing import RECIPE_NAME
from tui_tuner.plan import RunPlan
from tui_tuner.planning.model_source import locate_model
from tui_tuner.planning.preflight import bytes_needed_to_resume, check_folder
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan
from tui_tuner.recipe import read_recipe
from tui_tuner.trackers.sending import TrackerSet
from tui_tuner.trackers.tracked import points_in


def resume(folder: Path, controls: Controls, *, accept: bool = False) -> Iterator[TrainEvent]:
    """The rest of a run, as `engine.run` would have gone on; the first event of its journal is RunResumed.

    Args:
        folder: the run's folder; `tui_tuner.journal.find_run` finds it by name.
        accept: go on although something changed; the changes are noted in the journal.

    Raises:
        RunError: the run is complete, alive or not a run, has no whole checkpoint, or is not what it was.
        LabelError: its labels are not what they were. Both carry the changes as a table.
        TunerError: as `engine.run` does.
    """
    with RunJournal.reopen(folder) as journal, library_output_to(journal.log_path):
        before = read_state(folder)
        _refuse_complete(before, folder)
        checkpoint, damaged = newest_whole(journal.checkpoints_folder)
        if checkpoint is None and damaged:
            raise RunError(
                f"Run {folder.name} has no whole checkpoint: {damaged[0].reason}", "Train its recipe.toml anew."
            )
        base = _Basis.of(folder, checkpoint)
        check_folder(folder, bytes_needed_to_resume(base.plan))
        yield labelling_of(base.plan)
        material = yield from _material(base)
        if checkpoint is not None:
            check_same_tensors(
                folder.name, checkpoint.identity.plan.adapter, material.plan.adapter, material.other_changes
            )
        if material.changes and not accept:
            raise refusal(folder.name, material.label_changes, material.other_changes)
        earlier = points_in(read_events(folder)) if material.plan.recipe.output.trackers else frozenset()
        recorder = Recorder(journal, before, TrackerSet(material.plan, folder, earlier))
        yield from recorded(_rest(base, material, damaged, controls, recorder), recorder)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Basis:
    """What the run goes on from."""

    checkpoint: Checkpoint | None
    plan: RunPlan
    """Of the recipe as it is in the folder now; lengths are not settled yet."""
    changes: tuple[Change, ...]
    """What matters and is not as it was in the recipe."""

    @classmethod
    def of(cls, folder: Path, checkpoint: Checkpoint | None) -> "_Basis":
        recipe = read_recipe(folder / RECIPE_NAME)
        changes = recipe_changes(checkpoint.identity.plan.recipe, recipe) if checkpoint else ()
        if checkpoint is None or changes:
            now = checkpoint.identity.plan.rendered_at if checkpoint else datetime.now()
            plan = make_plan(recipe, probe_hardware()).model_copy(update={"rendered_at": now})
        else:
            # Not a new plan: free memory may have changed, and the batches with it.
            plan = _with_model_found(checkpoint.identity.plan.model_copy(update={"recipe": recipe}))
        return cls(checkpoint=checkpoint, plan=plan, changes=changes)


def _with_model_found(plan: RunPlan) -> RunPlan:
    """The plan with the model's files where they are now: a project, or the hub's cache, may have been moved."""
    if plan.model.folder is None or Path(plan.model.folder).is_dir():
        return plan
    located = locate_model(plan.recipe.model)
    return plan.model_copy(update={"model": plan.model.model_copy(update={"folder": str(located.folder)})})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Material:
    """What there is now to go on with, and in what it differs from what there was."""

    plan: RunPlan
    data: LabelledData
    label_changes: tuple[Change, ...]
    other_changes: tuple[Change, ...]

    @property
    def changes(self) -> tuple[Change, ...]:
        return (*self.label_changes, *self.other_changes)


def _material(base: _Basis) -> Generator[Progress, None, _Material]:
    """Label the rows again, and compare everything with the checkpoint."""
    data = yield from label_with_progress(base.plan)
    plan = fetch_weights(refine_plan(base.plan, data.facts))
    if base.checkpoint is None:
        return _Material(plan=plan, data=data, label_changes=(), other_changes=())
    then = base.checkpoint.identity
    now = identity_of(plan, data, base_fingerprint(plan), then.device_name)
    return _Material(
        plan=plan,
        data=data,
        label_changes=(*label_changes(then, now), *_order_changes(base.checkpoint, plan, data)),
        other_changes=(*base.changes, *other_changes(then, now)),
    )


def _order_changes(checkpoint: Checkpoint, plan: RunPlan, data: LabelledData) -> Iterator[Change]:
    """Whether the epoch that the checkpoint stands in has its rows in the same sequences and order."""
    position = checkpoint.state.position
    if position.order:
        now = order_hash(epoch_sequences(data.train, plan, position.epoch))
        if now != position.order:
            yield Change(what="the order of the rows", before=position.order[:12], now=now[:12])


def _rest(
    base: _Basis, material: _Material, damaged: tuple[Damaged, ...], controls: Controls, recorder: Recorder
) -> Iterator[TrainEvent]:
    """Everything that goes into the journal."""
    journal, checkpoint = recorder.journal, base.checkpoint
    for folder in (journal.folder, journal.checkpoints_folder):
        sweep(folder)
    yield from _missing_events(recorder.state, material.plan, journal, checkpoint)
    yield _resumed(base, material, recorder)
    for one in damaged:
        moved = set_aside(one)
        yield WarningRaised(message=f"{one.reason} An older checkpoint is taken; this one is now {moved.name}.")
    if _is_new(material, checkpoint):
        journal.write_plan(material.plan)
        journal.write_certificate(material.data.certificate.model_dump_json(indent=2))
    ready = data_ready(material.plan, material.data)
    yield from chain((ready,), phases(material.plan, material.data, controls, recorder, checkpoint))


def _missing_events(
    state: RunState, plan: RunPlan, journal: RunJournal, checkpoint: Checkpoint | None
) -> Iterator[TrainEvent]:
    """What the run did but could not write down any more: that it began, or that it saved this checkpoint."""
    if state.plan is None:
        yield RunStarted(
            run_id=journal.folder.name,
            folder=str(journal.folder),
            plan=plan,
            versions=library_versions(),
            process_id=os.getpid(),
        )
    if checkpoint is not None and checkpoint.folder.name not in {Path(one.path).name for one in state.checkpoints}:
        yield checkpoint.state.saved


def _is_new(material: _Material, checkpoint: Checkpoint | None) -> bool:
    """Whether the plan or the labels are others from here on."""
    return checkpoint is None or bool(material.changes) or material.plan != checkpoint.identity.plan


def _resumed(base: _Basis, material: _Material, recorder: Recorder) -> RunResumed:
    journal, checkpoint = recorder.journal, base.checkpoint
    return RunResumed(
        folder=str(journal.folder),
        step=checkpoint.state.step if checkpoint else 0,
        checkpoint=str(checkpoint.folder) if checkpoint else "",
        superseded_from=_end_of_event(journal, checkpoint) if checkpoint else 0,
        accepted=material.changes,
        plan=material.plan if _is_new(material, checkpoint) else None,
        versions=library_versions(),
        process_id=os.getpid(),
    )


def _end_of_event(journal: RunJournal, checkpoint: Checkpoint) -> int:
    """Where the journal's line of this checkpoint ends; it may have been written by `_missing_events`."""
    event, end = journal.event_at(checkpoint.state.journal_position)
    is_here = isinstance(event, CheckpointSaved) and Path(event.path).name == checkpoint.folder.name
    return end if is_here else journal.position


def _refuse_complete(state: RunState, folder: Path) -> None:
    if state.finished is not None and state.finished.outcome is Outcome.COMPLETED:
        raise RunError(
            f"Run {folder.name} is complete: it ended after step {state.finished.step:,}.",
            f"`tuner show {folder}` shows it; `tuner train` with model.adapter goes on from its adapter.",
        )
