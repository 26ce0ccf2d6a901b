"""Real signals, full disks, read-only folders and memory that runs out: each is told as what it is, and survived."""

import os
import random
import resource
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.checkpoints.faults import (
    exit_code,
    fill,
    free,
    mounted,
    read_only,
    small_disk,
    start,
    wait_for_step,
)
from tests.engine.checkpoints.interrupted import assert_same, at_step, cut, go_on
from tests.engine.tiny_runs import Done, recipe_in, train, write_rows
from tests.tiny import write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.errors import MachineError
from tui_tuner.events import (
    CheckpointSaved,
    MemoryExceeded,
    Phase,
    PhaseStarted,
    RunFinished,
    StepFinished,
    TrainEvent,
    WarningRaised,
)
from tui_tuner.journal import read_events, read_state

LATEST_SECONDS = 2.5
SETTINGS = ("training.max_steps=20", "training.save_every=2", "adapter.dropout=0.2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run without a fault."""
    return train(tmp_path_factory.mktemp("runs"), *SETTINGS, "output.name=whole")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)], ids=["TERM", "INT", "HUP"]
)
def test_a_signal_saves_and_says_how_to_go_on(whole: Done, number: signal.Signals, code: int) -> None:
    folder, name = whole.folder.parents[1], f"signal-{number}"
    process = start(folder, name, *SETTINGS)
    wait_for_step(process, folder / "runs" / name, 3)
    os.kill(process.pid or 0, number)
    assert exit_code(process) == code
    saved = [one for one in read_events(folder / "runs" / name) if isinstance(one, CheckpointSaved)][-1]
    assert (
        f"Saved at step {saved.step}. Go on with: tuner resume {folder}/runs/{name}\n"
        in (folder / f"{name}.err").read_text()
    )
    go_on(folder / "runs" / name)
    assert_same(folder / "runs" / name, whole.folder)


def test_a_disk_without_room_for_the_run_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", 2) as disk,
        pytest.raises(MachineError, match=r"The disk of .*disk has 2.* MB free, the run needs up to 6.* MB"),
    ):
        list(run(recipe_in(tmp_path, f"output.folder={disk / 'runs'}"), Controls()))


def run_on(disk: Path, folder: Path, fill_after: int, leave: int) -> Iterator[TrainEvent]:
    """A run on a small disk, which is nearly full after a step."""
    for event in run(recipe_in(folder, *SETTINGS, f"output.folder={disk / 'runs'}"), Controls()):
        if at_step(fill_after)(event):
            fill(disk, leave)
        yield event


def test_a_disk_that_fills_up_costs_checkpoints_and_not_the_run(tmp_path: Path, whole: Done) -> None:
    with small_disk(tmp_path / "disk", 80) as disk:
        events = []
        for event in run_on(disk, tmp_path, fill_after=3, leave=500_000):
            events.append(event)
            if at_step(7)(event):
                free(disk)
        warnings = [one.message for one in events if isinstance(one, WarningRaised)]
        assert len(warnings) == 2
        assert "step-000004 could not be written: the disk is full. It takes 1." in warnings[0]
        assert "0.5 MiB are free. Training goes on without this checkpoint." in warnings[0]
        assert [one.step for one in events if isinstance(one, CheckpointSaved)][:3] == [2, 8, 10]
        assert_same(disk / "runs" / "one", whole.folder)


def test_a_disk_without_a_byte_left_ends_the_run_which_resumes_when_there_is_room(tmp_path: Path, whole: Done) -> None:
    with small_disk(tmp_path / "disk", 80) as disk:
        with pytest.raises(MachineError, match=r"events\.jsonl cannot be written: No space left on device"):
            list(run_on(disk, tmp_path, fill_after=5, leave=0))
        free(disk)
        go_on(disk / "runs" / "one")
        assert_same(disk / "runs" / "one", whole.folder)


def test_a_file_that_may_not_grow_costs_a_checkpoint_and_leaves_no_half_of_it(whole: Done) -> None:
    """The disk has room, and yet the write fails half-way."""
    folder, warnings = whole.folder.parents[1], []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        for event in run(recipe_in(folder, *SETTINGS, "output.name=limited"), Controls()):
            if isinstance(event, StepFinished):
                is_limited = event.step == 2
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000 if is_limited else soft, hard))
            if isinstance(event, WarningRaised):
                warnings.append(event.message)
                assert not list((folder / "runs" / "limited" / "checkpoints").iterdir())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (warning,) = warnings
    assert "step-000002 could not be written" in warning
    assert "File too large" in warning
    assert_same(folder / "runs" / "limited", whole.folder)


def test_a_read_only_folder_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "ro", "tmpfs") as disk,
        pytest.raises(MachineError, match="cannot be written to: Read-only file system"),
    ):
        list(run(recipe_in(tmp_path, f"output.folder={disk / 'runs'}"), Controls()))


def test_a_run_whose_folder_became_read_only_is_not_resumed(tmp_path: Path) -> None:
    folder = cut(tmp_path, "one", at_step(3), *SETTINGS)
    with (
        mounted(folder, "--bind", str(folder)),
        read_only(folder),
        pytest.raises(MachineError, match="one cannot be written: Read-only file system"),
    ):
        go_on(folder)


def test_data_that_vanish_while_a_run_goes_on_are_not_missed(whole: Done) -> None:
    folder = whole.folder.parents[1]
    for event in run(recipe_in(folder, *SETTINGS, "output.name=vanished"), Controls()):
        if at_step(1)(event):
            (folder / "rows.jsonl").rename(folder / "elsewhere")
    (folder / "elsewhere").rename(folder / "rows.jsonl")
    assert_same(folder / "runs" / "vanished", whole.folder)


def test_memory_that_runs_out_is_told_and_survived(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", [{"prompt": "hi", "completion": "x" * 400}] * 32)
    # Capped scores are all in memory at the same time: those of every row in a batch.
    model = write_tiny_model(tmp_path / "model", "gemma2", vocab_size=264, head_dim=16)
    events = []
    limit = resource.getrlimit(resource.RLIMIT_AS)
    settings = ("training.micro_batch_size=32", "training.gradient_accumulation=1", "training.max_steps=2")
    try:
        for event in run(recipe_in(tmp_path, *settings, model=model), Controls()):
            events.append(event)
            if isinstance(event, PhaseStarted) and event.phase is Phase.TRAINING:
                used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
                # Scores of all rows take several times this, those of one row less.
                resource.setrlimit(resource.RLIMIT_AS, (used + 40 * 2**20, limit[1]))
            if isinstance(event, StepFinished):
                resource.setrlimit(resource.RLIMIT_AS, limit)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
    exceeded = [one for one in events if isinstance(one, MemoryExceeded)]
    assert (exceeded[0].step, exceeded[0].fit.rows) == (1, 16)
    steps = [one for one in events if isinstance(one, StepFinished)]
    assert [one.tokens for one in steps] == [steps[0].tokens] * 2
    assert isinstance(events[-1], RunFinished)


@pytest.mark.parametrize("hang_ups", [2, pytest.param(50, marks=pytest.mark.nightly)])
def test_a_hang_up_at_any_moment_ends_the_run_as_one(whole: Done, hang_ups: int) -> None:
    """Labelling, loading, a step, a save, the proof: whatever it is doing, the run can go on afterwards."""
    folder, draw = whole.folder.parents[1], random.Random(5)
    for number in range(hang_ups):
        name = f"anywhere-{hang_ups}-{number}"
        process = start(folder, name, *SETTINGS)
        process.join(draw.uniform(0.05, LATEST_SECONDS))
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGHUP)
        assert exit_code(process) in (0, 129, -signal.SIGHUP), (folder / f"{name}.err").read_text()
        run_folder = folder / "runs" / name
        if run_folder.exists() and read_state(run_folder).finished is None:
            go_on(run_folder)
            assert_same(run_folder, whole.folder)


def test_a_disk_without_room_for_another_name_is_told(tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "nr_inodes=4,size=200m", "tmpfs") as disk,
        pytest.raises(MachineError, match="No space left on device"),
    ):
        list(run(recipe_in(tmp_path, f"output.folder={disk / 'runs'}"), Controls()))


def test_while_a_disk_hangs_in_a_save_a_reader_sees_where_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, sync = [], os.fsync

    def read_meanwhile(descriptor: int) -> None:
        seen.append(read_state(tmp_path / "runs" / "one").step)
        sync(descriptor)

    for event in run(recipe_in(tmp_path, *SETTINGS), Controls()):
        if at_step(1)(event):
            monkeypatch.setattr(os, "fsync", read_meanwhile)
        if at_step(5)(event):
            monkeypatch.undo()
    assert {2, 4} <= set(seen)


def test_checkpoints_that_somebody_removes_while_a_run_goes_on_cost_it_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "one" / "checkpoints"
    for event in run(recipe_in(tmp_path, *SETTINGS, "output.name=one"), Controls()):
        if at_step(3)(event):
            shutil.rmtree(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert isinstance(event, RunFinished)
    assert any(folder.glob("step-*"))
