"""A watcher sees a run from outside, wherever the run stands, and leaves it alone."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plans import scripted_events
from tui_tuner.events import Phase, PhaseStarted, RunFailed, RunResumed, RunState, StepFinished, TrainEvent
from tui_tuner.hosting.launching import open_live_folder
from tui_tuner.hosting.live_folder import LiveFolder, live_folder
from tui_tuner.hosting.notes import ExitStatus, LaunchNote
from tui_tuner.hosting.run_view import RunView
from tui_tuner.hosting.watching import ALONE_SECONDS, RunWatcher

EVENTS = tuple(scripted_events(steps=30))
NOTE = LaunchNote(run_id="one", mode="detached", launched_at=1_000.0)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveFolder]:
    """A run that this process keeps alive."""
    folder = live_folder(tmp_path, "one")
    lock = open_live_folder(folder, NOTE)
    yield folder
    os.close(lock)


def write(path: Path, *events: TrainEvent) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(event.model_dump_json() + "\n" for event in events)


def journal(live: LiveFolder) -> Path:
    return live.run_folder / "events.jsonl"


def seen(watcher: RunWatcher) -> RunView:
    """The newest view of a run that stands still."""
    newest = None
    while (view := watcher.poll()) is not None:
        newest = view
    assert newest is not None
    return newest


def watch(live: LiveFolder) -> RunWatcher:
    return RunWatcher(live.runs_folder, live.run_id)


def die(live: LiveFolder, **status: object) -> None:
    live.exit.write_text(ExitStatus.model_validate({"time": 1.0, **status}).model_dump_json(), encoding="utf-8")


def test_a_watcher_is_silent_where_nothing_is_new(live: LiveFolder) -> None:
    watcher = watch(live)
    assert seen(watcher).is_alive
    assert watcher.poll() is None


def test_the_state_is_the_sum_of_the_journal(live: LiveFolder) -> None:
    write(journal(live), *EVENTS)
    assert seen(watch(live)).state == RunState().after_all(EVENTS)


def test_what_happens_before_there_is_a_journal_is_seen_and_not_counted_twice(live: LiveFolder) -> None:
    watcher = watch(live)
    write(live.events, *EVENTS[:3])
    assert seen(watcher).state.progress is not None
    write(journal(live), *EVENTS)
    assert seen(watcher).state == RunState().after_all(EVENTS)


def test_an_end_without_a_word_shows_how_and_the_last_lines(live: LiveFolder) -> None:
    write(journal(live), *EVENTS[:20])
    live.log.write_text("a\nb\n", encoding="utf-8")
    die(live, signal="SIGSEGV")
    view = seen(watch(live))
    assert (view.is_alive, view.is_lost, view.log_tail) == (False, True, ("a", "b"))
    assert view.exit is not None and view.exit.text == "ended by SIGSEGV"


def test_a_run_whose_machine_went_down_is_lost(tmp_path: Path) -> None:
    write(tmp_path / "one" / "events.jsonl", *EVENTS[:20])
    view = seen(RunWatcher(tmp_path, "one"))
    assert view.is_lost and view.exit is None


def test_a_finished_run_is_neither_alive_nor_lost(tmp_path: Path) -> None:
    write(tmp_path / "one" / "events.jsonl", *EVENTS)
    view = seen(RunWatcher(tmp_path, "one"))
    assert not view.is_alive and not view.is_lost and view.log_tail == ()


def test_a_resumed_run_shows_what_it_does_before_it_writes_its_journal(live: LiveFolder) -> None:
    live.note.write_text(NOTE.model_copy(update={"resume": str(live.run_folder)}).model_dump_json(), encoding="utf-8")
    write(journal(live), *EVENTS)
    write(live.events, PhaseStarted(phase=Phase.LABELLING))
    watcher = watch(live)
    before = seen(watcher).state
    assert (before.phase, before.step, before.finished) == (Phase.LABELLING, 30, None)
    write(journal(live), RunResumed(folder="one", step=0, time=2_000.0), PhaseStarted(phase=Phase.LOADING))
    assert seen(watcher).state.phase is Phase.LOADING


def test_a_resume_that_fails_says_so(live: LiveFolder) -> None:
    live.note.write_text(NOTE.model_copy(update={"resume": str(live.run_folder)}).model_dump_json(), encoding="utf-8")
    write(journal(live), *EVENTS)
    write(live.events, RunFailed(error="RunError", message="the data changed"))
    failed = seen(watch(live)).state.failed
    assert failed is not None and failed.message == "the data changed"


def test_a_watcher_knows_how_long_a_run_was_alone(live: LiveFolder) -> None:
    assert seen(watch(live)).attachment.alone_since == NOTE.launched_at
    assert watch(live).attachment.alone_since is None, "somebody has just looked"
    left = time.time() - 2 * ALONE_SECONDS
    os.utime(live.watched, (left, left))
    assert watch(live).attachment.alone_since == pytest.approx(left)


def test_a_long_journal_opens_in_short_polls_and_little_time(live: LiveFolder) -> None:
    """Two seconds of processor for 100,000 steps; a fifth of them here. 1.1 s were measured for all."""
    first = next(event for event in EVENTS if isinstance(event, StepFinished))
    write(journal(live), *(first.model_copy(update={"step": step}) for step in range(1, 20_001)))
    watcher, began = watch(live), time.thread_time()
    first_view = watcher.poll()
    assert first_view is not None and not first_view.is_caught_up
    assert seen(watcher).state.step == 20_000
    assert time.thread_time() - began < 1.0
