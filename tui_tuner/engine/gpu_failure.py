"""Tells a GPU that failed from a bug: what the driver says becomes an error of the machine, with the way on."""

import torch

from tui_tuner.errors import MachineError

FAILURES = (
    "CUDA error: unspecified launch failure",
    "CUDA error: uncorrectable ECC error",
    "CUDA error: unknown error",
    "CUDA error: the launch timed out",
    "CUDA error: hardware stack error",
    "CUDA error: GPU is lost",
    "CUDA error: no CUDA-capable device",
    "CUDA error: system not",
    "CUDA error: initialization error",
    "CUDA error: CUDA-capable device(s) is/are busy",
    "CUDA driver",
    "Unable to determine the device handle",
)
"""How messages begin that speak of the device or its driver. An illegal memory access is a kernel's own fault."""


def machine_error(error: BaseException, step: int, run: str) -> MachineError | None:
    """The error to show for one that torch raised; None where it does not come from the GPU."""
    is_known = isinstance(error, torch.AcceleratorError | RuntimeError) and not isinstance(
        error, torch.OutOfMemoryError
    )
    said = str(error).strip().split("\n", 1)[0]
    if not is_known or not any(failure.lower() in said.lower() for failure in FAILURES):
        return None
    return MachineError(
        f"The GPU failed after step {step:,}: {said}.",
        f"`tuner doctor` and `dmesg | grep -i xid` say more; once it is back, go on with `tuner resume {run}`.",
    )
