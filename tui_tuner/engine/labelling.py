"""Runs the labelling beside the caller, so that its progress can be told as events."""

import queue
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.events import Phase, Progress
from tui_tuner.plan import RunPlan

POLL_SECONDS = 0.1


def label_with_progress(plan: RunPlan) -> Generator[Progress, None, LabelledData]:
    """Label every row; yields how far it is about ten times a second, returns the labelled data.

    Raises:
        DataError: as `label_data` does.
    """
    reports: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
    folder = Path(plan.model.folder) if plan.model.folder else None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="labelling") as worker:
        future = worker.submit(
            label_data, plan.recipe, folder, plan.model.context_length, lambda done, total: reports.put((done, total))
        )
        while not future.done():
            latest = _latest(reports)
            if latest is not None:
                yield Progress(phase=Phase.LABELLING, done=latest[0], total=latest[1])
        return future.result()


def _latest(reports: queue.SimpleQueue[tuple[int, int]]) -> tuple[int, int] | None:
    """The newest report, after waiting a moment for one; older ones are out of date."""
    try:
        latest = reports.get(timeout=POLL_SECONDS)
        while not reports.empty():
            latest = reports.get_nowait()
    except queue.Empty:
        return None
    return latest
