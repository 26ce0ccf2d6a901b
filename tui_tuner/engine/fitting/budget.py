"""Keeps training within the GPU memory that its recipe allows it, by the allocator's own limit."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from tui_tuner.plan import RunPlan
from tui_tuner.planning.memory import GIB, GPU_RESERVE


@contextmanager
def memory_budget(plan: RunPlan) -> Iterator[None]:
    """As long as a run trains; without a budget in the recipe all that is free may be taken.

    Not while a model is loaded: libraries may ask for more than the weights take, for a moment.
    """
    budget = plan.recipe.acceleration.vram
    if plan.device != "cuda" or budget == "auto":
        yield
        return
    total = torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory
    share = (budget * GIB - GPU_RESERVE) / total
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, share)))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
