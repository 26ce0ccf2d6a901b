"""Runs are found and summed up without reading them in full."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.plans import NOON, llama_plan, scripted_events, step_finished
from tui_tuner.errors import RunError
from tui_tuner.events import (
    ControlApplied,
    EvalFinished,
    Outcome,
    RunFailed,
    RunFinished,
    RunResumed,
    RunStarted,
    TrainEvent,
)
from tui_tuner.journal import RunJournal, find_run, list_runs, summarise

EVENTS = tuple(scripted_events())


def record(runs: Path, run_id: str, events: Sequence[TrainEvent]) -> RunJournal:
    journal = RunJournal.create(runs, run_id, "", llama_plan())
    for event in events:
        journal.append(event)
    return journal


def test_a_finished_run_is_summed_up(tmp_path: Path) -> None:
    record(tmp_path, "r1", EVENTS).close()
    (run,) = list_runs(tmp_path)
    assert (run.id, run.state, run.step, run.total_steps) == ("r1", "completed", 40, 40)
    assert run.last_loss == pytest.approx(0.979, abs=1e-3)
    assert run.best_loss == pytest.approx(1.034, abs=1e-3)
    assert run.losses[0] > run.losses[-1]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (RunFinished(outcome=Outcome.STOPPED, step=3, adapter="a", best_loss=None, best_step=None, seconds=1, tokens=1),
         "stopped"),
        (RunFailed(error="TrainingError", message="The loss became NaN at step 3."), "failed"),
        (step_finished(3), "interrupted"),
    ],
)  # fmt: skip
def test_the_last_event_says_how_a_dead_run_ended(last: TrainEvent, state: str, tmp_path: Path) -> None:
    record(tmp_path, "r1", [*EVENTS[:20], last]).close()
    assert list_runs(tmp_path)[0].state == state


def test_a_living_run_is_running_and_may_be_paused(tmp_path: Path) -> None:
    with record(tmp_path, "r1", EVENTS[:20]) as journal:
        states = [summarise(journal.folder).state]
        for number, action in enumerate(("pause", "resume")):
            journal.append(ControlApplied(time=NOON + 60 + number, step=9, action=action))
            states.append(summarise(journal.folder).state)
    assert states == ["running", "paused", "running"]


def test_one_damaged_run_does_not_hide_the_others(tmp_path: Path) -> None:
    record(tmp_path, "good", EVENTS).close()
    for name, text in (("empty", b""), ("garbage", b"\x00\xff\n{}\n"), ("torn", b'{"kind":')):
        record(tmp_path, name, ()).close()
        (tmp_path / name / "events.jsonl").write_bytes(text)
    assert {run.id: run.state for run in list_runs(tmp_path)} == {
        "good": "completed", "empty": "unreadable", "garbage": "unreadable", "torn": "unreadable",
    }  # fmt: skip


def test_a_long_run_is_summed_up_in_milliseconds(tmp_path: Path) -> None:
    with record(tmp_path, "long", EVENTS[:5]) as journal, (journal.folder / "events.jsonl").open("a") as file:
        file.writelines(step_finished(step).model_dump_json() + "\n" for step in range(1, 20_000))
    began = time.thread_time()
    assert summarise(journal.folder).step == 19_999
    assert time.thread_time() - began < 0.1


def test_runs_are_found_by_id_beginning_last_and_path(tmp_path: Path) -> None:
    for number, name in enumerate(("20260801-a", "20260802-b")):
        started = EVENTS[0].model_copy(update={"time": NOON + number})
        assert isinstance(started, RunStarted)
        record(tmp_path, name, [started]).close()
    found = [find_run(text, tmp_path).name for text in ("20260801-a", "20260801", "last", str(tmp_path / "20260801-a"))]
    assert found == ["20260801-a", "20260801-a", "20260802-b", "20260801-a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("r", "'r' is the beginning of 2 runs: run-a, run-b"),
        ("run-c", "no run 'run-c'.* Did you mean run-"),
        ("zzz", "tuner runs"),
    ],
)
def test_a_name_that_fits_no_single_run_is_refused(text: str, message: str, tmp_path: Path) -> None:
    for name in ("run-a", "run-b"):
        record(tmp_path, name, EVENTS[:1]).close()
    with pytest.raises(RunError, match=message):
        find_run(text, tmp_path)


def test_no_runs_folder_is_no_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == ()
    with pytest.raises(RunError, match="There are no runs"):
        find_run("last", tmp_path / "nowhere")


def resumed(journal: RunJournal, step: int, superseded_from: int) -> None:
    journal.append(
        RunResumed(folder=str(journal.folder), step=step, checkpoint=f"step-{step}", superseded_from=superseded_from)
    )


def test_what_a_resumed_run_took_back_does_not_count(tmp_path: Path) -> None:
    with record(tmp_path, "r1", EVENTS[:5]) as journal:
        for step in (1, 2):
            journal.append(step_finished(step, loss=2.0))
        saved = journal.position
        journal.append(step_finished(3, loss=9.0))
        journal.append(EvalFinished(step=3, loss=0.1, rows=1, trained_tokens=1, is_best=True))
        resumed(journal, 2, saved)
        before = summarise(journal.folder)
        journal.append(step_finished(3, loss=1.5))
    assert (before.step, before.last_loss, before.best_loss, before.losses) == (2, 2.0, None, (2.0, 2.0))
    assert (summarise(journal.folder).step, summarise(journal.folder).last_loss) == (3, 1.5)


def test_a_run_that_was_paused_when_it_died_is_not_paused_when_it_goes_on(tmp_path: Path) -> None:
    with record(tmp_path, "r1", EVENTS[:20]) as journal:
        journal.append(ControlApplied(step=9, action="pause"))
        resumed(journal, 0, 0)
        assert summarise(journal.folder).state == "running"


def test_a_run_says_from_where_it_can_go_on(tmp_path: Path) -> None:
    record(tmp_path, "r1", EVENTS[:20]).close()
    for name in ("step-000020", "step-000040-2", "damaged-step-000060", ".step-000080.7.tmp"):
        (tmp_path / "r1" / "checkpoints" / name).mkdir()
    record(tmp_path, "done", EVENTS).close()
    runs = {run.id: run for run in list_runs(tmp_path)}
    assert (runs["r1"].can_resume, runs["r1"].checkpoint_step) == (True, 40)
    assert (runs["done"].can_resume, runs["done"].checkpoint_step) == (False, None)


def test_a_folder_that_is_not_made_yet_is_no_run(tmp_path: Path) -> None:
    record(tmp_path, ".r1.7.tmp", EVENTS[:5]).close()
    assert list_runs(tmp_path) == ()
