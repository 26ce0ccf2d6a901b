"""Runs the labelling beside the caller, so that its progress can be told as events."""

import queue
import threading
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.errors import ModelError
from tui_tuner.events import Phase, Progress
from tui_tuner.plan import RunPlan
from tui_tuner.planning.settled_values import recipe_for_data

POLL_SECONDS = 0.1


def label_with_progress(plan: RunPlan) -> Generator[Progress, None, LabelledData]:
    """Label every row; yields how far it is about ten times a second, returns the labelled data.

    A caller that leaves early ends the labelling at its next report.

    Raises:
        DataError: as `label_data` does.
        ModelError: a token is beyond the model's vocabulary.
    """
    reports: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    is_abandoned = threading.Event()

    def report(done: int, total: int) -> None:
        if is_abandoned.is_set():
            raise _AbandonedError
        reports.put((done, total))

    folder = Path(plan.model.folder) if plan.model.folder else None
    recipe = recipe_for_data(plan.recipe, plan.model)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="labelling") as worker:
        try:
            future = worker.submit(label_data, recipe, folder, plan.model.context_length, report, plan.rendered_at)
            while not future.done():
                latest = _latest(reports)
                if latest is not None:
                    yield Progress(phase=Phase.LABELLING, done=latest[0], total=latest[1])
            data = future.result()
            _check_vocabulary(plan, data)
            return data
        finally:
            # Leaving the worker waits for it.
            is_abandoned.set()


def _check_vocabulary(plan: RunPlan, data: LabelledData) -> None:
    """Beyond its table an embedding fails with an index error on a CPU, and takes the whole process down on a GPU."""
    token = max(data.train.largest_id, data.evaluation.largest_id)
    if token >= plan.model.vocab_size:
        worst = next(one for one in chain(data.train, data.evaluation) if token in one.input_ids)
        raise ModelError(
            f"{worst.ref}: the tokenizer gives token {token}, the model's vocabulary ends at {plan.model.vocab_size}.",
            "The tokenizer in the model's folder belongs to another model.",
        )


class _AbandonedError(Exception):
    """Nobody waits for the labels any more."""


def _latest(reports: queue.SimpleQueue[tuple[int, int]]) -> tuple[int, int] | None:
    """The newest report, after waiting a moment for one; older ones are out of date."""
    try:
        latest = reports.get(timeout=POLL_SECONDS)
        while not reports.empty():
            latest = reports.get_nowait()
    except queue.Empty:
        return None
    return latest
