"""A journal of a hundred thousand steps is read in seconds, in bites that no screen notices."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plans import llama_plan, scripted_events, step_finished
from tui_tuner.events import MAX_CURVE_POINTS
from tui_tuner.hosting.watching import POLL_SECONDS, RunWatcher
from tui_tuner.journal import read_state

STEPS = 100_000


@pytest.fixture(scope="module")
def runs_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    runs = tmp_path_factory.mktemp("runs")
    (runs / "long").mkdir()
    beginning = [one for one in scripted_events(steps=10, plan=llama_plan(steps=STEPS)) if one.kind != "run_finished"]
    line = step_finished(11).model_dump_json()
    with (runs / "long" / "events.jsonl").open("w") as file:
        file.writelines(f"{one.model_dump_json()}\n" for one in beginning)
        file.writelines(line.replace('"step":11', f'"step":{step}') + "\n" for step in range(11, STEPS + 1))
    yield runs


def test_the_whole_is_folded_in_seconds_and_kept_small(runs_folder: Path) -> None:
    began = time.thread_time()
    state = read_state(runs_folder / "long")
    assert time.thread_time() - began < 8.0  # measured: 0.9
    assert state.step == STEPS and len(state.losses.points) <= MAX_CURVE_POINTS


def test_a_watcher_reads_it_in_short_bites(runs_folder: Path) -> None:
    watcher, bites, view = RunWatcher(runs_folder, "long"), [], None
    while view is None or not view.is_caught_up:
        began = time.thread_time()
        view = watcher.poll() or view
        bites.append(time.thread_time() - began)
    assert view.state.step == STEPS and sum(bites) < 8.0  # measured: 0.9
    assert sorted(bites)[len(bites) // 2] < 4 * POLL_SECONDS
