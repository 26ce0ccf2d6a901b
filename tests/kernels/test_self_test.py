"""The self-test: every kernel file takes part, and one that cannot run is a failed row."""

import math
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
import torch

from tui_tuner import kernels
from tui_tuner.engine.checks.kernels import check_kernels
from tui_tuner.errors import MachineError
from tui_tuner.kernels import self_test
from tui_tuner.kernels.checking import Check

CPU = torch.device("cpu")


def test_every_kernel_file_takes_part() -> None:
    found = walk_packages(kernels.__path__, f"{kernels.__name__}.")
    modules = [import_module(module.name) for module in found]
    wanted = {module.checks for module in modules if hasattr(module, "checks")}
    assert wanted == {checks for _, checks in self_test.OPERATIONS}


def test_a_kernel_that_cannot_run_is_a_failed_row_and_the_next_one_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    good = Check("good", "float32", error=0.0, allowed=1e-6)

    def broken(device: torch.device) -> Iterator[Check]:
        yield good
        raise RuntimeError(f"no such kernel on {device}\nand a long explanation")

    monkeypatch.setattr(self_test, "OPERATIONS", (("broken", broken), ("whole", lambda _: iter([good]))))
    rows = list(self_test.run_checks(CPU))
    assert [(row.name, row.passed, row.failure) for row in rows] == [
        ("good", True, ""), ("broken", False, "no such kernel on cpu"), ("good", True, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(("error", "passed"), [(0.01, True), (0.02, False), (math.nan, False)])
def test_a_check_passes_within_what_is_allowed(error: float, passed: bool) -> None:
    assert Check("some", "float32", error, allowed=0.01).passed is passed


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_nothing_to_check() -> None:
    with pytest.raises(MachineError, match="CUDA GPU"):
        next(check_kernels())
