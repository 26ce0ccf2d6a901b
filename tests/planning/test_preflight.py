from pathlib import Path

import pytest

from tests.planning.recipes import LLAMA_8B, machine, plan
from tui_tuner.errors import MachineError, RunError
from tui_tuner.planning.preflight import bytes_needed, check_folder, check_output


def test_a_folder_that_can_be_made_passes_and_is_not_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", needed=1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(MachineError, match="runs is a file"):
        check_folder(tmp_path / "runs" / "here", needed=1)


def test_a_folder_that_cannot_be_written_to_is_refused() -> None:
    with pytest.raises(MachineError, match="cannot be written to"):
        check_folder(Path("/proc/runs"), needed=1)


def test_a_disk_that_is_too_small_says_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"[kMGT]B free, the run needs up to 1126 TB"):
        check_folder(tmp_path, needed=2**50)


def test_a_run_needs_its_adapter_and_optimizer_states_for_each_kept_checkpoint(tmp_path: Path) -> None:
    planned = plan(tmp_path, "training.keep_checkpoints=3", on=machine(80), config=LLAMA_8B)
    checkpoint = 12 * 41_943_040
    assert bytes_needed(planned) == pytest.approx(5 * checkpoint + 4 * 41_943_040, rel=0.05)


def test_a_name_that_is_taken_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    named = plan(tmp_path, f"output.folder={tmp_path / 'runs'}", "output.name=first")
    with pytest.raises(RunError, match="runs/first exists already"):
        check_output(named)


def test_a_plan_is_checked_at_its_own_runs_folder(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(MachineError, match="is a file"):
        check_output(plan(tmp_path, f"output.folder={tmp_path / 'runs'}"))
