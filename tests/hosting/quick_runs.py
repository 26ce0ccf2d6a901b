"""Quick real runs of the starter model for the hosting tests, and ways to wait for them. Nothing here asserts."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tui_tuner.hosting.launches import living_runs
from tui_tuner.hosting.live_folder import live_folder
from tui_tuner.hosting.run_view import RunView, WatchedRun
from tui_tuner.journal.lock import lock_owner
from tui_tuner.recipe import Recipe, parse_recipe
from tui_tuner.starter import starter_instructions_file, starter_recipe_text

PATIENCE_SECONDS = 90.0
QUICK = (
    "training.max_steps=2", "training.micro_batch_size=2", "training.sample_tokens=2", "training.exact_match_rows=0",
    "training.evaluate_every=9999", "data.evaluation_sources=[]", "data.evaluation_fraction=0.1",
)  # fmt: skip


def quick_recipe(runs_folder: Path, *overrides: str) -> Recipe:
    """Two steps on sixteen rows, unless overridden."""
    rows = runs_folder.parent / "rows.jsonl"
    with starter_instructions_file().open(encoding="utf-8") as file:
        rows.write_text("".join(itertools.islice(file, 16)), encoding="utf-8")
    return parse_recipe(
        starter_recipe_text(str(runs_folder)), (*QUICK, f"data.sources[0].path={rows}", *overrides), source="a test"
    )


def until(run: WatchedRun, is_so: Callable[[RunView], object]) -> RunView:
    """The first view of which that is true. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE_SECONDS
    view = None
    while time.monotonic() < end:
        view = run.poll() or view
        if view is not None and is_so(view):
            return view
        time.sleep(0.02)
    raise TimeoutError(f"the run came to {view}")


def engine_process(runs_folder: Path, run_id: str) -> int:
    """The process id of a run's engine, once it has started; the lock names its launcher before."""
    lock = live_folder(runs_folder, run_id).path
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        owner = int(lock_owner(lock).split()[0])
        if owner != os.getpid():
            return owner
        time.sleep(0.02)
    raise TimeoutError("no engine has started")


def ended(runs_folder: Path) -> Iterator[Path]:
    """For a fixture: the folder, and no run is left alive after the test."""
    yield runs_folder
    for run_id in living_runs(runs_folder):
        with suppress(ProcessLookupError):
            os.kill(engine_process(runs_folder, run_id), signal.SIGKILL)
