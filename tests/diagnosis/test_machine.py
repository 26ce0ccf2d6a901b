"""Memory and disks."""

from pathlib import Path

import pytest

from tests.diagnosis.machines import WITHOUT
from tui_tuner.diagnosis import machine
from tui_tuner.diagnosis.machine import DiskWish, disk_check, disk_checks, memory_check


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk_check("disk", tmp_path).finding.endswith(f"free in {tmp_path}")
    monkeypatch.setattr(machine, "MIN_FREE_DISK", 10**18)
    assert disk_check("disk", tmp_path).status == "warning"


def test_a_machine_that_says_nothing_of_its_memory_is_told() -> None:
    assert memory_check(WITHOUT).status == "warning"


def test_checkpoints_and_merge_of_the_chosen_model_are_measured_against_the_disk(tmp_path: Path) -> None:
    wish = DiskWish(model="Qwen3-8B", run_bytes=1000, merge_bytes=10**18)
    run, merge, _ = disk_checks(tmp_path / "runs" / "to-be", tmp_path / "hub", wish)
    assert (run.status, merge.status) == ("ok", "warning")
    assert merge.finding.startswith("Qwen3-8B merged, in 16 bits takes 1000000 TB")
