"""kill -9 at random moments: each time the next process goes on by itself, and the end is bit for bit the same."""

import os
import random
from pathlib import Path

import pytest

from tests.engine.checkpoints.faults import exit_code, start, start_again, wait_for_step
from tests.engine.checkpoints.interrupted import assert_same
from tests.engine.tiny_runs import recipe_in, train
from tui_tuner.journal import list_runs, summarise

SETTINGS = (
    "training.max_steps=30", "training.gradient_accumulation=3", "training.save_every=1", "training.evaluate_every=4",
    "adapter.dropout=0.2", "data.evaluation_fraction=0.2",
)  # fmt: skip
"""A checkpoint at each step: about half of the time one is being written."""
LONGEST_SECONDS = 4.0


def kill_until_done(folder: Path, name: str, draw: random.Random, most_kills: int) -> int:
    """Start or resume a run and kill it, until it ends or was killed often enough; returns the kills."""
    kills, run = 0, folder / "runs" / name
    while True:
        process = start_again(folder, name) if run.exists() else start(folder, name, *SETTINGS)
        if kills < most_kills:
            process.join(draw.uniform(0.0, LONGEST_SECONDS))
        if kills < most_kills and process.is_alive():
            process.kill()
            kills += 1
        code = exit_code(process)
        assert code in (0, -9), (folder / f"{name}.err").read_text()
        if code == 0 or (run.exists() and summarise(run).state == "completed"):
            return kills


@pytest.mark.parametrize("kills", [5, pytest.param(200, marks=pytest.mark.nightly)])
def test_a_run_killed_at_random_moments_resumes_each_time(tmp_path: Path, kills: int) -> None:
    whole = train(tmp_path, *SETTINGS, "output.name=whole")
    draw = random.Random(os.environ.get("KILL_SEED", 7))
    survived = number = 0
    while survived < kills:
        number += 1
        survived += kill_until_done(tmp_path, f"run-{number}", draw, kills - survived)
        assert_same(tmp_path / "runs" / f"run-{number}", whole.folder)
        assert not list((tmp_path / "runs" / f"run-{number}").rglob(".*"))


def test_a_killed_run_counts_as_interrupted_and_its_lock_is_free(tmp_path: Path) -> None:
    recipe_in(tmp_path)
    process = start(tmp_path, "one", *SETTINGS)
    wait_for_step(process, tmp_path / "runs" / "one", 3)
    process.kill()
    assert exit_code(process) == -9
    (run,) = list_runs(tmp_path / "runs")
    assert (run.state, run.can_resume) == ("interrupted", True)
    assert run.checkpoint_step in (run.step, run.step - 1, run.step + 1)
