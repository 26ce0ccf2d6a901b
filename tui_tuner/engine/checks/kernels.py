"""The way from the front ends to the kernels' self-test."""

from collections.abc import Iterator

import torch

from tui_tuner.errors import MachineError
from tui_tuner.kernels.checking import Check
from tui_tuner.kernels.self_test import run_checks


def check_kernels() -> Iterator[Check]:
    """Each check of each kernel on the current GPU, as it is done.

    Raises:
        MachineError: torch sees no CUDA GPU.
    """
    if not torch.cuda.is_available():
        raise MachineError(
            "the kernels need a CUDA GPU, and torch sees none.", "On a CPU tuner uses plain torch and no kernels."
        )
    yield from run_checks(torch.device("cuda", torch.cuda.current_device()))
