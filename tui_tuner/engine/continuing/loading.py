"""Fills a model's opened tensors from an adapter that anybody made, and measures the model before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.data.dataset import LabelledData
from tui_tuner.data.labels import LabelledExample
from tui_tuner.engine.adapters import TrainedSet
from tui_tuner.engine.evaluation import evaluate
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.saving.adapter_files import Provenance, fill_from
from tui_tuner.errors import AdapterError, ModelError
from tui_tuner.families import family_for
from tui_tuner.plan import RunPlan
from tui_tuner.planning.inheriting.adapter import InheritedAdapter
from tui_tuner.planning.inheriting.origin import LoggedLoss, check_file, logged_loss
from tui_tuner.planning.inheriting.reading import WEIGHTS_FILE, read_adapter
from tui_tuner.planning.weight_hashes import differing_file

ROWS_WITHOUT_HELD_OUT = 16
"""Training rows that are measured where none are held out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedAdapter:
    """An adapter whose tensors are in the model, and what was measured on the way."""

    adapter: InheritedAdapter
    loss_before: float
    loss_after: float
    rows: str
    logged: LoggedLoss | None
    is_same_data: bool
    """Whether `logged` was measured on the same rows, rendered in the same way."""
    base_confirmed: bool


def load_inherited(
    plan: RunPlan, model: TrainingModel, trained: TrainedSet, data: LabelledData, now: Provenance
) -> LoadedAdapter:
    """Check the adapter's files and its base, measure, load, and measure again.

    Raises:
        AdapterError: the adapter is damaged, was made for another base model, or does not fit the trained tensors.
    """
    assert plan.adapter.continues is not None
    folder = Path(plan.adapter.continues)
    adapter = read_adapter(folder).on(family_for(plan.model.model_type))
    is_confirmed = _confirm_base(adapter, plan, now)
    if adapter.origin is not None:
        check_file(folder, WEIGHTS_FILE, adapter.origin)
    examples, rows = _rows(data)
    before = evaluate(model, examples, plan.schedule.micro_batch_size).loss
    fill_from(folder, trained, adapter.stored_names)
    after = evaluate(model, examples, plan.schedule.micro_batch_size).loss
    return LoadedAdapter(
        adapter=adapter,
        loss_before=before,
        loss_after=after,
        rows=rows,
        logged=_logged(adapter),
        is_same_data=_is_same_data(adapter, data),
        base_confirmed=is_confirmed,
    )


def _confirm_base(adapter: InheritedAdapter, plan: RunPlan, now: Provenance) -> bool:
    """Whether the base is known to be the right one. Raises AdapterError where it is known to be another."""
    if adapter.origin is None:
        return False
    base, fingerprint = adapter.origin.base, now.base_fingerprint
    other = differing_file(base.files, dict(now.base_files))
    if other is not None:
        raise AdapterError(
            f"{adapter.folder} was trained on another {other} of {base.source}: by their sha256 they differ.",
            f"Set model.source to the files that it was trained on; `tuner models --verify {plan.model.source}` reads "
            "those here in full.",
        )
    if base.fingerprint != fingerprint:
        raise AdapterError(
            f"{adapter.folder} was trained on {base.source} (fingerprint {base.fingerprint[:12]}), and "
            f"{plan.model.source} is not that model (fingerprint {fingerprint[:12]}).",
            f"Set model.source to {base.source}, or to the same files in another place.",
        )
    return True


def _rows(data: LabelledData) -> tuple[Sequence[LabelledExample], str]:
    if data.evaluation:
        return data.evaluation, f"{len(data.evaluation):,} held-out rows"
    count = min(ROWS_WITHOUT_HELD_OUT, len(data.train))
    return [data.train[index] for index in range(count)], f"{count} training rows"


def _logged(adapter: InheritedAdapter) -> LoggedLoss | None:
    try:
        return logged_loss(adapter.folder, adapter.origin)
    except ModelError as error:
        raise AdapterError(error.message, error.hint) from error


def _is_same_data(adapter: InheritedAdapter, data: LabelledData) -> bool:
    origin = adapter.origin
    return (
        origin is not None
        and bool(data.evaluation)
        and (origin.data_hash, origin.template_hash) == (data.data_hash, data.template_hash)
    )
