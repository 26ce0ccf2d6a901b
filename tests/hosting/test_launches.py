"""Living runs and failed launches are found beside the runs that have a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plans import scripted_events
from tui_tuner.errors import RunError
from tui_tuner.hosting.launches import find_watched, forget, list_launches, living_runs
from tui_tuner.hosting.launching import open_live_folder
from tui_tuner.hosting.live_folder import LiveFolder, live_folder
from tui_tuner.hosting.notes import ExitStatus, LaunchNote
from tui_tuner.journal import find_run, list_runs


def open_one(runs_folder: Path, run_id: str, launched_at: float = 1.0) -> int:
    """A live folder; it is alive until the descriptor is closed."""
    note = LaunchNote(run_id=run_id, mode="detached", model="llama", launched_at=launched_at)
    return open_live_folder(live_folder(runs_folder, run_id), note)


def write_events(folder: Path, number: int) -> None:
    folder.mkdir(exist_ok=True)
    lines = [event.model_dump_json() + "\n" for event in scripted_events()][:number]
    (folder / "events.jsonl").write_text("".join(lines), encoding="utf-8")


@pytest.fixture
def living(tmp_path: Path) -> Iterator[LiveFolder]:
    lock = open_one(tmp_path, "b-living")
    yield live_folder(tmp_path, "b-living")
    os.close(lock)


def test_a_launch_is_running_before_it_says_anything(living: LiveFolder) -> None:
    (launch,) = list_launches(living.runs_folder)
    assert (launch.id, launch.state, launch.model, launch.started) == ("b-living", "running", "llama", 1.0)


def test_a_launch_that_died_in_silence_says_how(tmp_path: Path) -> None:
    os.close(open_one(tmp_path, "one"))
    live = live_folder(tmp_path, "one")
    live.log.write_text("Traceback\nKeyError: 'x'\n", encoding="utf-8")
    live.exit.write_text(ExitStatus(code=1, time=2.0).model_dump_json(), encoding="utf-8")
    (launch,) = list_launches(tmp_path)
    assert (launch.state, launch.problem) == ("failed", "ended with exit code 1; KeyError: 'x'")


def test_what_became_a_run_is_no_launch_and_a_launch_is_no_run(living: LiveFolder) -> None:
    write_events(living.path, 2)
    assert list_runs(living.runs_folder) == ()
    assert len(list_launches(living.runs_folder)) == 1
    write_events(living.run_folder, 5)
    assert [one.id for one in list_runs(living.runs_folder)] == ["b-living"]
    assert list_launches(living.runs_folder) == ()


def test_the_newest_living_run_comes_first(living: LiveFolder) -> None:
    os.close(open_one(living.runs_folder, "c-dead", launched_at=9.0))
    lock = open_one(living.runs_folder, "a-living", launched_at=5.0)
    assert living_runs(living.runs_folder) == ("a-living", "b-living")
    assert find_watched(None, living.runs_folder).run_id == "a-living"
    os.close(lock)


def test_a_launch_is_found_by_the_beginning_of_its_id_and_a_run_as_ever(living: LiveFolder) -> None:
    write_events(living.runs_folder / "z-old", 9)
    assert find_watched("b-", living.runs_folder) == living
    assert find_watched("z", living.runs_folder).run_folder == find_run("z-old", living.runs_folder)
    with pytest.raises(RunError, match="There is no run"):
        find_watched("q", living.runs_folder)


def test_nothing_that_runs_is_an_error_with_a_way_on(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"No run .* is running"):
        find_watched(None, tmp_path)


def test_only_the_dead_are_forgotten(living: LiveFolder) -> None:
    with pytest.raises(RunError, match="is running"):
        forget(living.runs_folder, living.run_id)
    os.close(open_one(living.runs_folder, "dead"))
    forget(living.runs_folder, "dead")
    assert not live_folder(living.runs_folder, "dead").path.exists()
