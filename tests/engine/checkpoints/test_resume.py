"""A run that was stopped and resumed is, bit for bit, the run that was not: in any phase, with anything on."""

import shutil
from pathlib import Path

import pytest

from tests.engine.checkpoints.interrupted import EVERYTHING, Moment, assert_same, at_step, cut, go_on, stopped
from tests.engine.tiny_runs import Done, recipe_in, train
from tui_tuner.controls import Controls
from tui_tuner.engine.resume import resume
from tui_tuner.engine.run import run
from tui_tuner.errors import RunError
from tui_tuner.events import (
    CheckpointSaved,
    EvalFinished,
    ModelReady,
    Phase,
    PhaseStarted,
    ProofFinished,
    RunResumed,
    RunStarted,
    StepFinished,
    WarningRaised,
)
from tui_tuner.journal import is_alive, read_events, read_state

PACKED = ("data.packing=true", "data.max_length=64", "training.micro_batch_size=1", "data.sources[0].weight=1.5")
KINDS = {
    "packed, weighted": PACKED,
    "dora, recomputed, in order": ('adapter.variant="dora"', "acceleration.recompute=layers", "data.shuffle=false"),
    "whole modules": ('adapter.modules_to_save=["embed_tokens", "lm_head", "norm"]',),
    "full": ("adapter.method=full",),
    "our own layers": ("adapter.dropout=0", "acceleration.recompute=offload", "data.packing=true"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run that nobody stopped."""
    return train(tmp_path_factory.mktemp("runs"), *EVERYTHING, "output.name=whole")


@pytest.fixture(scope="module")
def left_at_5(whole: Done) -> Path:
    """The same run, cut off after its fifth step."""
    return cut(whole.folder.parents[1], "left-at-5", at_step(5), *EVERYTHING)


@pytest.fixture
def left(left_at_5: Path, tmp_path: Path) -> Path:
    """A copy of it; a run's folder may lie anywhere."""
    return shutil.copytree(left_at_5, tmp_path / "left")


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, kind: str) -> None:
    settings = (*EVERYTHING, *KINDS[kind])
    reference = train(tmp_path, *settings, "output.name=whole")
    folder = stopped(tmp_path, "one", 3, *settings)
    go_on(folder)
    assert_same(folder, reference.folder)


def test_ten_stops_leave_no_trace(whole: Done) -> None:
    folder = stopped(whole.folder.parents[1], "ten", 0, *EVERYTHING)
    for step in range(1, 10):
        go_on(folder, until=step)
    assert [one.step for one in read_state(folder).resumed] == list(range(9))
    assert_same(folder, whole.folder)


def starts(phase: Phase) -> Moment:
    return lambda event: isinstance(event, PhaseStarted) and event.phase is phase


MOMENTS: dict[str, Moment] = {
    "loading": starts(Phase.LOADING),
    "evaluation": lambda event: isinstance(event, EvalFinished) and event.step == 8,
    "checkpoint": lambda event: isinstance(event, CheckpointSaved) and event.step == 4,
    "last": lambda event: isinstance(event, CheckpointSaved) and event.step == 9,
    "proved": lambda event: isinstance(event, ProofFinished),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_ended_at_any_moment_ends_as_one_that_did_not(whole: Done, moment: str) -> None:
    folder = cut(whole.folder.parents[1], moment, MOMENTS[moment], *EVERYTHING)
    go_on(folder)
    assert_same(folder, whole.folder)


def test_a_person_s_learning_rate_holds_after_a_resume(tmp_path: Path) -> None:
    controls = Controls()
    settings = ("training.max_steps=4", "training.save_every=1", "optimizer.schedule=constant")
    for event in run(recipe_in(tmp_path, *settings), controls):
        if at_step(1)(event):
            controls.set_learning_rate(0.5)
        if at_step(2)(event):
            controls.stop()
    rest = [event for event in go_on(tmp_path / "runs" / "one") if isinstance(event, StepFinished)]
    assert [one.learning_rate for one in rest] == pytest.approx([0.005] * 2)


def test_an_adapter_that_was_continued_from_may_be_gone(tmp_path: Path) -> None:
    first = train(tmp_path, "output.name=first")
    settings = (f"model.adapter={first.folder / 'adapter'}", "training.max_steps=4", "training.save_every=1")
    reference = train(tmp_path, *settings, "output.name=whole")
    folder = stopped(tmp_path, "one", 2, *settings)
    (first.folder / "adapter").rename(tmp_path / "elsewhere")
    go_on(folder)
    assert_same(folder, reference.folder)


def test_a_stop_saves_a_checkpoint_before_anything_else(tmp_path: Path) -> None:
    folder = stopped(tmp_path, "one", 3, *EVERYTHING)
    events = list(read_events(folder))
    place = max(number for number, event in enumerate(events) if at_step(3)(event))
    saved = next(event for event in events[place + 1 :] if event.kind != "control")
    assert isinstance(saved, CheckpointSaved)
    assert saved.step == 3


def test_the_journal_goes_on_and_says_what_is_superseded(left: Path) -> None:
    folder = left
    before = (folder / "events.jsonl").read_bytes()
    go_on(folder)
    after = (folder / "events.jsonl").read_bytes()
    assert after.startswith(before)
    (resumed,) = [one for one in read_events(folder) if isinstance(one, RunResumed)]
    assert (resumed.step, Path(resumed.checkpoint).name) == (4, "step-000004")
    assert before[: resumed.superseded_from].splitlines()[-1].startswith(b'{"time":')
    assert b'"kind":"checkpoint","step":4' in before[: resumed.superseded_from].splitlines()[-1]


def test_a_torn_last_line_is_cut_off(whole: Done, left: Path) -> None:
    folder = left
    with (folder / "events.jsonl").open("ab") as journal:
        journal.write(b'{"time":1,"kind":"st')
    go_on(folder)
    assert_same(folder, whole.folder)


def test_a_checkpoint_that_the_journal_does_not_know_is_taken_and_noted(whole: Done) -> None:
    """A process may die between the two."""
    folder = cut(whole.folder.parents[1], "unknown", MOMENTS["checkpoint"], *EVERYTHING)
    journal = folder / "events.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    place = max(number for number, line in enumerate(lines) if b'"kind":"checkpoint"' in line)
    journal.write_bytes(b"".join(lines[:place]))
    go_on(folder)
    assert [one.step for one in read_state(folder).checkpoints] == [2, 4, 6, 8, 9]
    assert_same(folder, whole.folder)


def test_a_run_that_wrote_nothing_yet_begins(whole: Done) -> None:
    folder = cut(whole.folder.parents[1], "empty", starts(Phase.LOADING), *EVERYTHING)
    (folder / "events.jsonl").write_bytes(b"")
    events = go_on(folder)
    assert any(isinstance(event, RunStarted) for event in events)
    assert_same(folder, whole.folder)


def test_what_a_killed_process_left_half_done_is_removed(left: Path) -> None:
    folder = left
    for place in (folder / ".adapter.77.old", folder / "checkpoints" / ".step-000005.77.tmp"):
        place.mkdir()
        (place / "half").touch()
    go_on(folder)
    assert not list(folder.rglob(".*"))


def test_a_complete_run_is_refused(whole: Done) -> None:
    before = (whole.folder / "events.jsonl").read_bytes()
    with pytest.raises(RunError, match="Run whole is complete: it ended after step 9"):
        go_on(whole.folder)
    assert (whole.folder / "events.jsonl").read_bytes() == before


def test_a_living_run_is_refused(tmp_path: Path) -> None:
    events = run(recipe_in(tmp_path), Controls())
    next(event for event in events if isinstance(event, ModelReady))
    assert is_alive(tmp_path / "runs" / "one")
    with pytest.raises(RunError, match="is in use by process"):
        next(resume(tmp_path / "runs" / "one", Controls()))
    events.close()  # type: ignore[attr-defined]


def test_a_run_folder_may_be_moved(whole: Done, left: Path) -> None:
    moved = left.rename(left.with_name("elsewhere"))
    go_on(moved)
    assert_same(moved, whole.folder)


def test_fields_that_do_not_change_the_training_may_change(whole: Done) -> None:
    folder = cut(whole.folder.parents[1], "free", at_step(3), *EVERYTHING)
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("save_every = 2", "save_every = 5"))
    events = go_on(folder)
    assert [one.step for one in events if isinstance(one, CheckpointSaved)] == [5, 9]
    assert_same(folder, whole.folder)
    assert not [one for one in events if isinstance(one, WarningRaised)]
