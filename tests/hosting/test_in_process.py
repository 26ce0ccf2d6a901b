"""The same run in a thread: seen through the same glass, and steered from elsewhere all the same."""

from pathlib import Path

import pytest

from tests.hosting.quick_runs import quick_recipe, until
from tui_tuner.errors import RunError
from tui_tuner.events import Outcome
from tui_tuner.hosting.in_process import InProcessRun
from tui_tuner.hosting.launches import living_runs
from tui_tuner.hosting.watching import RunWatcher
from tui_tuner.journal import read_state


def test_a_run_in_a_thread_is_watched_and_steered_from_here_and_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    run = InProcessRun(quick_recipe(folder, "training.max_steps=9999"))
    try:
        until(run, lambda view: view.state.step)
        assert living_runs(folder) == (run.run_id,)
        elsewhere = RunWatcher(folder, run.run_id)
        elsewhere.controls.pause()
        until(run, lambda view: view.state.paused)
        until(elsewhere, lambda view: view.is_alive and view.state.paused)
    finally:
        run.controls.stop()
        assert run.join(timeout=60)
    view = until(run, lambda view: not view.is_alive)
    assert view.state.finished is not None and view.state.finished.outcome is Outcome.STOPPED
    assert view.state == read_state(folder / run.run_id)
    assert not (folder / ".live" / run.run_id).exists()


def test_a_run_that_cannot_start_says_so_in_its_view_and_leaves_nothing(tmp_path: Path) -> None:
    run = InProcessRun(quick_recipe(tmp_path / "runs", "model.source=/no/such/model"))
    view = until(run, lambda view: not view.is_alive)
    assert view.state.failed is not None and "does not exist" in view.state.failed.message
    assert view.exit is not None and view.exit.code == 2
    assert not (tmp_path / "runs").exists()


def test_an_abort_ends_a_run_before_its_first_step(tmp_path: Path) -> None:
    run = InProcessRun(quick_recipe(tmp_path / "runs"))
    run.controls.abort()
    view = until(run, lambda view: not view.is_alive)
    assert view.state.failed is not None and view.state.failed.error == "Aborted"


def test_a_name_that_is_taken_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    with pytest.raises(RunError, match="exists already"):
        InProcessRun(quick_recipe(tmp_path / "runs", "output.name=one"))
