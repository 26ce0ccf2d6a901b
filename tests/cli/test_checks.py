"""Doctor's findings, for machines that this one is not."""

import os
from pathlib import Path

import pytest

from tui_tuner.cli import checks
from tui_tuner.hardware import Gpu, Hardware

GPU = Gpu(
    index=0,
    name="NVIDIA H100",
    total_bytes=80 * 2**30,
    free_bytes=79 * 2**30,
    compute_capability=(9, 0),
    driver="580.1",
)
WITH_GPU = Hardware(gpus=(GPU,), cpu_count=16, ram_bytes=2**37, ram_free_bytes=2**36)
WITHOUT = Hardware(gpus=(), cpu_count=2, ram_bytes=0, ram_free_bytes=0)


def test_a_package_that_is_missing_fails_with_the_command_that_installs_it() -> None:
    check = checks.package_check("no-such-package")
    assert (check.status, check.fix) == ("fail", "pip install 'no-such-package'")


def test_a_gpu_is_named_with_memory_and_driver() -> None:
    finding = checks.gpu_check(WITH_GPU).finding
    assert finding == "NVIDIA H100, 79.0 GiB of 80.0 GiB free, compute capability 9.0; driver 580.1"


def test_no_gpu_is_a_warning_with_a_way_out() -> None:
    check = checks.gpu_check(WITHOUT)
    assert check.status == "warning"
    assert "nvidia-smi" in check.fix


def test_a_torch_without_cuda_beside_a_gpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "version", lambda _name: "2.13.0+cpu")
    assert checks.cuda_check(WITH_GPU).status == "fail"
    assert checks.cuda_check(WITHOUT).status == "ok"


def test_triton_without_a_compiler_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "version", lambda _name: "3.6.0")
    monkeypatch.setenv("PATH", "")
    assert checks.triton_check(WITH_GPU).fix == "apt install gcc"
    assert checks.triton_check(WITHOUT).status == "ok"


def test_a_full_disk_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.disk_check("disk", tmp_path).finding.endswith(f"free in {tmp_path}")
    monkeypatch.setattr(checks, "MIN_FREE_DISK", 10**18)
    assert checks.disk_check("disk", tmp_path).status == "warning"


@pytest.mark.parametrize(
    ("size", "encoding", "status"),
    [((120, 40), "utf-8", "ok"), ((60, 20), "utf-8", "warning"), ((120, 40), "ascii", "warning")],
)
def test_the_terminal_is_large_enough_and_speaks_utf8(size: tuple[int, int], encoding: str, status: str) -> None:
    assert checks.terminal_check(os.terminal_size(size), encoding, "xterm").status == status


def test_a_machine_that_says_nothing_of_its_memory_is_told() -> None:
    assert checks.memory_check(WITHOUT).status == "warning"
