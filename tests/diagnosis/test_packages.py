"""Packages that are missing, too old, or not made for each other or for the driver."""

from importlib.metadata import PackageNotFoundError

import pytest

from tests.diagnosis.machines import WITH_GPU, WITHOUT
from tui_tuner.diagnosis import packages
from tui_tuner.diagnosis.gpu_driver import Driver

OLD_DRIVER = Driver(version="535.1", cuda="12.2")
NEW_DRIVER = Driver(version="580.65", cuda="13.0")


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Only these packages, with these versions; "_" stands for "-"."""

    def version(name: str) -> str:
        if name.replace("-", "_") not in versions:
            raise PackageNotFoundError(name)
        return versions[name.replace("-", "_")]

    monkeypatch.setattr(packages, "version", version)


def test_a_package_that_is_missing_fails_with_the_command_that_installs_it() -> None:
    check = packages.package_check("no-such-package")
    assert (check.status, check.fix) == ("fail", "pip install 'no-such-package'")


def test_a_torch_without_cuda_beside_a_gpu_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, torch="2.13.0+cpu")
    assert packages.cuda_check(WITH_GPU).status == "fail"
    assert packages.cuda_check(WITHOUT).status == "ok"


def test_a_driver_older_than_torchs_cuda_fails_and_a_newer_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, torch="2.13.0+cu130", nvidia_cuda_runtime="13.0.96")
    check = packages.cuda_check(WITH_GPU, OLD_DRIVER)
    assert check.status == "fail" and "Update the driver" in check.fix
    assert packages.cuda_check(WITH_GPU, NEW_DRIVER).status == "ok"


def test_bitsandbytes_without_a_library_for_torchs_cuda_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, bitsandbytes="0.50.2", nvidia_cuda_runtime="99.1.0")
    check = packages.bitsandbytes_check(WITH_GPU)
    assert check.status == "warning" and "CUDA 99.1" in check.finding
    installed(monkeypatch, bitsandbytes="0.50.2")
    assert packages.bitsandbytes_check(WITHOUT).status == "ok"


def test_triton_without_a_compiler_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, triton="3.6.0")
    monkeypatch.setattr(packages, "requires", lambda _name: [])
    monkeypatch.setenv("PATH", "")
    assert packages.triton_check(WITH_GPU).fix == "apt install gcc"
    assert packages.triton_check(WITHOUT).status == "ok"


def test_a_triton_that_torch_was_not_made_for_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, triton="3.1.0")
    monkeypatch.setattr(packages, "requires", lambda _name: ["triton==3.6.0"])
    check = packages.triton_check(WITH_GPU)
    assert (check.status, check.fix) == ("warning", "pip install 'triton==3.6.0'")
