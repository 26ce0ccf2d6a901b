"""The GPU, and who holds it."""

import os
from dataclasses import replace
from pathlib import Path

from tests.diagnosis.machines import GIB, GPU, WITH_GPU, WITHOUT
from tui_tuner.diagnosis.gpu_driver import Holder, holder_of, is_own
from tui_tuner.diagnosis.gpus import gpu_check, holder_checks


def holder(num_bytes: int | None, user: str = "ann", command: str = "python train.py") -> Holder:
    return Holder(gpu=0, process_id=4471, user=user, command=command, num_bytes=num_bytes)


def test_a_gpu_is_named_with_memory_and_driver() -> None:
    finding = gpu_check(WITH_GPU).finding
    assert finding == "NVIDIA H100, 79.0 GiB of 80.0 GiB free, compute capability 9.0; driver 580.1"


def test_no_gpu_is_a_warning_with_a_way_out() -> None:
    assert gpu_check(WITHOUT).status == "warning" and "nvidia-smi" in gpu_check(WITHOUT).fix


def test_who_holds_much_is_a_warning_and_who_holds_little_a_note() -> None:
    checks = list(holder_checks(WITH_GPU, (holder(1 * GIB), holder(60 * GIB))))
    assert [check.status for check in checks] == ["warning", "note"]
    assert checks[0].finding == "60.0 GiB by ann, process 4471: python train.py"
    assert "ask them" in checks[0].fix


def test_memory_that_nobody_seen_holds_is_said_to_be_outside() -> None:
    busy = replace(WITH_GPU, gpus=(replace(GPU, free_bytes=10 * GIB),))
    (check,) = holder_checks(busy, ())
    assert check.status == "warning" and "cannot be seen" in check.finding
    assert next(iter(holder_checks(WITH_GPU, ()))).status == "ok"


def test_a_process_is_known_by_its_user_and_command_and_one_that_is_gone_by_its_number(tmp_path: Path) -> None:
    own = holder_of(0, os.getpid(), None)
    assert is_own(own) and "py" in own.command
    gone = holder_of(0, 4471, None, proc=tmp_path)
    assert (gone.user, gone.command) == ("", "")
    (check,) = holder_checks(WITH_GPU, (gone,))
    assert "somebody outside this container, process 4471" in check.finding
