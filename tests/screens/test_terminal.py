"""The app in a real terminal: its first frame, a lost connection, a killed window."""

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomlkit

from tests.hosting.quick_runs import engine_process
from tests.screens.pseudo_terminal import PseudoTerminal
from tui_tuner.journal import list_runs, read_state
from tui_tuner.starter import starter_recipe_text

STEPS = 6


def _with_draft(folder: Path, steps: int = STEPS) -> Path:
    """A login whose draft is the starter run, cut to a few steps."""
    recipe = tomlkit.parse(starter_recipe_text("runs"))
    recipe["training"]["max_steps"] = steps
    recipe["training"]["evaluate_every"] = steps
    (folder / "XDG_STATE_HOME" / "tuner").mkdir(parents=True)
    (folder / "XDG_STATE_HOME" / "tuner" / "draft.toml").write_text(tomlkit.dumps(recipe))
    return folder


def _start_run(terminal: PseudoTerminal) -> None:
    terminal.wait_for("No runs yet")
    terminal.type("5")
    terminal.wait_for("g starts it")
    terminal.type("g")
    terminal.wait_for("Journal", 90)
    terminal.wait_for("step ", 90)


def _finished_step(folder: Path, seconds: float) -> int | None:
    end = time.time() + seconds
    while time.time() < end:
        runs = list_runs(folder / "runs")
        if runs and runs[0].state == "completed":
            return runs[0].step
        time.sleep(0.2)
    return None


def test_the_first_content_is_there_at_once(tmp_path: Path) -> None:
    times, bare = [], []
    for number in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - began)
        terminal = PseudoTerminal(tmp_path / str(number))
        times.append(terminal.wait_for("1Runs"))
        terminal.kill()
    # Measured: 0.10 s, and 0.02 s for Python alone. On a machine with much else to do both take longer.
    assert min(times) < max(0.3, 8 * min(bare))


def test_leaving_gives_the_terminal_back_and_ends_well(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path)
    terminal.wait_for("No runs yet")
    terminal.type("q")
    terminal.wait_for("\x1b[?1049l")
    assert terminal.exit_code(20) == 0


def test_a_hang_up_ends_the_screen_and_the_run_in_this_process_finishes(tmp_path: Path) -> None:
    terminal = PseudoTerminal(_with_draft(tmp_path), "--in-process")
    _start_run(terminal)
    terminal.hang_up()
    assert terminal.exit_code(150) == 0
    assert list_runs(tmp_path / "runs")[0].state == "completed"


def test_a_run_goes_on_when_its_window_is_killed_and_another_login_shows_it(tmp_path: Path) -> None:
    first = PseudoTerminal(_with_draft(tmp_path))
    _start_run(first)
    first.kill()
    second = PseudoTerminal(tmp_path, "attach")
    second.wait_for("Loss", 60)
    assert _finished_step(tmp_path, 150) == STEPS
    second.wait_for("completed", 30)
    second.type("q")
    assert second.exit_code(20) == 0
    assert read_state(tmp_path / "runs" / list_runs(tmp_path / "runs")[0].id).proof is not None


@pytest.mark.parametrize("key", ["j"])
def test_keys_answer_quickly_while_an_engine_trains(key: str, tmp_path: Path) -> None:
    terminal = PseudoTerminal(_with_draft(tmp_path, steps=2000))
    _start_run(terminal)
    terminal.type("5")
    terminal.wait_for("go")
    time.sleep(1.0)
    times = []
    for number in range(30):
        times.append(terminal.latency("k" if number % 2 else key))
        time.sleep(0.05)
    terminal.type("6x")
    terminal.wait_for("Stop the run?")
    terminal.type("\x1b[C\x1b[C\r")
    terminal.wait_for("aborting")
    terminal.kill()
    assert statistics.median(times) < 0.05 * _crowd()
    assert sorted(times)[-3] < 0.15 * _crowd()


def test_keys_that_are_typed_before_the_app_is_there_are_obeyed_and_not_shown(tmp_path: Path) -> None:
    terminal = PseudoTerminal(tmp_path)
    terminal.type("2")
    terminal.wait_for("opening")
    terminal.type("3")
    assert "opening…3" not in terminal.shown
    terminal.wait_for("Choose a model first")
    terminal.type("q")
    assert terminal.exit_code(20) == 0
    assert terminal.is_line_mode


@pytest.mark.nightly  # tests/hosting/test_launching.py has the same without terminals
def test_every_watcher_of_an_engine_that_is_killed_says_how_it_died_within_two_seconds(tmp_path: Path) -> None:
    first = PseudoTerminal(_with_draft(tmp_path, steps=100_000), size=(40, 120))
    _start_run(first)
    run_id = _run_at_step(tmp_path / "runs", 2)
    second = PseudoTerminal(tmp_path, "attach", size=(40, 120))
    second.wait_for("Journal", 90)
    second.read_for(1.0)
    os.kill(engine_process(tmp_path / "runs", run_id), signal.SIGKILL)
    killed = time.perf_counter()
    for terminal in (first, second):
        terminal.wait_for("died at step", 60)
        terminal.wait_for("SIGKILL", 60)
    seconds = time.perf_counter() - killed
    for terminal in (first, second):
        terminal.kill()
    assert seconds < 2.0 * _crowd()


def _run_at_step(runs: Path, step: int) -> str:
    """Wait until a run has come so far; returns its id."""
    end = time.time() + 120
    while not (found := list_runs(runs)) or found[0].step < step:
        assert time.time() < end, found
        time.sleep(0.2)
    return found[0].id


def _crowd() -> float:
    """By how much everything takes longer where more programs want to run than there are processors."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
