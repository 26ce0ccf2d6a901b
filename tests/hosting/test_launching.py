"""A launched run belongs to nobody's terminal: real engine processes on the starter model."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosting.quick_runs import ended, engine_process, quick_recipe, until
from tui_tuner.errors import EXIT_INTERRUPTED, RunError
from tui_tuner.events import Outcome
from tui_tuner.hosting.host import HARD_SECONDS
from tui_tuner.hosting.launches import list_launches, living_runs
from tui_tuner.hosting.launching import launch
from tui_tuner.hosting.live_folder import live_folder
from tui_tuner.hosting.watching import RunWatcher
from tui_tuner.journal import list_runs
from tui_tuner.recipe import recipe_to_toml

ROOT = Path(__file__).resolve().parents[2]
CONSTANT_RATE = ("optimizer.schedule=constant", "optimizer.warmup_steps=0")
LAUNCHER = """
import sys, time
from pathlib import Path
from tui_tuner.hosting.launching import launch
from tui_tuner.recipe import read_recipe
print(launch(read_recipe(Path(sys.argv[1])), Path(sys.argv[2])), flush=True)
time.sleep(60)
"""


@pytest.fixture
def runs_folder(tmp_path: Path) -> Iterator[Path]:
    yield from ended(tmp_path / "runs")


def test_a_run_goes_on_to_its_end_when_its_launcher_is_killed(runs_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(recipe_to_toml(quick_recipe(runs_folder)), encoding="utf-8")
    command = [sys.executable, "-c", LAUNCHER, str(tmp_path / "recipe.toml"), str(runs_folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as launcher:
        assert launcher.stdout is not None
        run_id = launcher.stdout.readline().strip()
        os.killpg(launcher.pid, signal.SIGKILL)
    watchers = [RunWatcher(runs_folder, run_id) for _ in range(2)]
    views = [until(one, lambda view: view.state.finished and not view.is_alive) for one in watchers]
    assert views[0].state == views[1].state
    assert views[0].state.finished is not None and views[0].state.finished.outcome is Outcome.COMPLETED
    assert not live_folder(runs_folder, run_id).path.exists(), "a run that ended well needs no live folder"


def test_a_run_obeys_its_mailbox(runs_folder: Path) -> None:
    recipe = quick_recipe(runs_folder, "training.max_steps=9999", *CONSTANT_RATE)
    run = RunWatcher(runs_folder, launch(recipe, runs_folder))
    until(run, lambda view: view.state.step)
    run.controls.pause()
    paused = until(run, lambda view: view.state.paused).state
    run.controls.set_learning_rate(0.5)
    run.controls.resume()
    after = until(run, lambda view: view.state.step > paused.step).state
    assert after.learning_rates.points[-1][1] == 0.5 * paused.learning_rates.points[-1][1]
    run.controls.save_now()
    until(run, lambda view: view.state.checkpoints)
    run.controls.stop()
    finished = until(run, lambda view: view.state.finished and not view.is_alive).state.finished
    assert finished is not None and finished.outcome is Outcome.STOPPED
    with pytest.raises(RunError, match="is not running"):
        run.controls.pause()


def test_a_killed_engine_shows_its_signal_and_its_last_words_within_two_seconds(runs_folder: Path) -> None:
    run_id = launch(quick_recipe(runs_folder), runs_folder)
    run = RunWatcher(runs_folder, run_id)
    assert until(run, lambda view: view.is_alive).exit is None
    engine = engine_process(runs_folder, run_id)
    with live_folder(runs_folder, run_id).log.open("a", encoding="utf-8") as log:
        log.write("the last words\n")
    os.kill(engine, signal.SIGKILL)
    killed = time.monotonic()
    view = until(run, lambda view: not view.is_alive)
    assert time.monotonic() - killed < 2.0
    assert view.exit is not None and view.exit.signal == "SIGKILL"
    assert view.log_tail[-1] == "the last words"
    assert view.is_lost
    assert [one.state for one in list_launches(runs_folder)] == ["failed"]


def test_a_launch_that_fails_is_kept_and_says_why(runs_folder: Path) -> None:
    run_id = launch(quick_recipe(runs_folder, "model.source=/no/such/model"), runs_folder)
    view = until(RunWatcher(runs_folder, run_id), lambda view: not view.is_alive)
    assert view.state.failed is not None and "/no/such/model does not exist" in view.state.failed.message
    assert view.exit is not None and view.exit.code == 2
    assert [(one.id, one.state) for one in list_launches(runs_folder)] == [(run_id, "failed")]
    assert list_runs(runs_folder) == ()


def test_a_second_term_signal_ends_the_run_at_once_and_a_hang_up_does_not(runs_folder: Path) -> None:
    run_id = launch(quick_recipe(runs_folder), runs_folder)
    engine = engine_process(runs_folder, run_id)
    os.kill(engine, signal.SIGHUP)
    os.kill(engine, signal.SIGTERM)
    time.sleep(2 * HARD_SECONDS[0])
    assert living_runs(runs_folder) == (run_id,)
    os.kill(engine, signal.SIGTERM)
    view = until(RunWatcher(runs_folder, run_id), lambda view: not view.is_alive)
    # Before it could say anything, where it was so early that Python itself ended on the signal.
    is_early = view.exit is not None and view.exit.signal == "SIGINT"
    assert is_early or (view.exit is not None and view.exit.code == EXIT_INTERRUPTED)
    assert is_early or (view.state.failed is not None and view.state.failed.error == "Aborted")


def test_a_name_is_given_away_once(runs_folder: Path) -> None:
    recipe = quick_recipe(runs_folder, "output.name=one", "model.source=/no/such/model")
    assert launch(recipe, runs_folder) == "one"
    assert living_runs(runs_folder) == ("one",)
    with pytest.raises(RunError, match="one is running"):
        launch(recipe, runs_folder)
    (runs_folder / "two").mkdir()
    with pytest.raises(RunError, match="exists already"):
        launch(quick_recipe(runs_folder, "output.name=two"), runs_folder)


def test_a_launch_works_inside_an_app_that_has_taken_the_terminal(
    runs_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Taken(io.StringIO):
        def fileno(self) -> int:
            return -1

    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, Taken())
    run_id = launch(quick_recipe(runs_folder, "model.source=/no/such/model"), runs_folder)
    assert until(RunWatcher(runs_folder, run_id), lambda view: view.state.failed)
