"""What a dying GPU says is told as that, with the way on; other errors stay what they are."""

from pathlib import Path

import pytest
import torch

from tests.engine.tiny_runs import recipe_in
from tui_tuner.controls import Controls
from tui_tuner.engine.gpu_failure import machine_error
from tui_tuner.engine.run import run
from tui_tuner.errors import MachineError
from tui_tuner.events import RunFailed, StepFinished
from tui_tuner.journal import read_events

LOST = "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported"


def test_a_gpu_that_fails_ends_the_run_with_the_way_on(tmp_path: Path) -> None:
    events = run(recipe_in(tmp_path), Controls())
    next(event for event in events if isinstance(event, StepFinished))
    failed = events.throw(torch.AcceleratorError(LOST))  # type: ignore[attr-defined]
    assert isinstance(failed, RunFailed)
    with pytest.raises(MachineError, match=r"The GPU failed after step 1: CUDA error: unspecified launch failure\."):
        next(events)
    folder = tmp_path / "runs" / "one"
    assert list(read_events(folder))[-1] == failed
    assert f"`tuner resume {folder}`" in failed.hint
    assert "Traceback" in (folder / "log.txt").read_text()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("size mismatch"),
        ValueError("CUDA error: unknown error"),
    ],
)
def test_other_errors_are_not_the_gpus(error: Exception) -> None:
    assert machine_error(error, 3, "one") is None
