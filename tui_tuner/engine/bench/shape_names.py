"""The shapes of random models that a benchmark can name. No torch, so that the command line can check them."""

from collections.abc import Collection
from typing import Literal

from tui_tuner.errors import MachineError
from tui_tuner.hardware import probe_hardware

ShapeName = Literal["8b", "1b", "0.5b", "small", "tiny"]
FOR_A_PROCESSOR: tuple[ShapeName, ...] = ("small", "tiny")


def check_shapes(shapes: Collection[ShapeName]) -> None:
    """Raise MachineError for one that only a GPU computes in useful time: its weights alone fill a machine's memory."""
    large = [one for one in shapes if one not in FOR_A_PROCESSOR]
    if large and not probe_hardware().gpus:
        raise MachineError(
            f"A random model of shape {large[0]} needs a GPU, and there is none here.",
            f"`tuner bench --shape {FOR_A_PROCESSOR[0]}`, or one of a recipe, measures a processor.",
        )
