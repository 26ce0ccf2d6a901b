"""A pass that runs out of memory: how it is told from other errors, and how nothing of it remains."""

import gc

import torch
from torch import Tensor

from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import Optimizer

WORDS = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
"""Of the processor's allocator, of the driver, and of NVIDIA's libraries, which have no type of error for it."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this error, or the one while which it was raised, is that memory ran out."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(word in str(error) for word in WORDS):
        return True
    return error.__context__ is not None and is_out_of_memory(error.__context__)


def clean_up(model: TrainingModel, optimizer: Optimizer) -> None:
    """Drop the gradients so far and all memory that is not in use. The error must have been let go of before."""
    model.drop_buffers()
    optimizer.drop_gradients()
    gc.collect()
    if model.device.type == "cuda":
        torch.cuda.synchronize(model.device)
        torch.cuda.empty_cache()


def generators(device: torch.device) -> tuple[Tensor, Tensor | None]:
    """States of the random generators that a pass may draw from."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def set_generators(states: tuple[Tensor, Tensor | None], device: torch.device) -> None:
    on_host, on_device = states
    torch.set_rng_state(on_host)
    if on_device is not None:
        torch.cuda.set_rng_state(on_device, device)
