"""Whether an unknown architecture keeps packed rows apart. For the known families tests have shown it."""

import numpy as np
import torch
from torch import Tensor

from tui_tuner.data.store.example_store import StoredExamples
from tui_tuner.engine.batches import collate
from tui_tuner.engine.model import TrainingModel
from tui_tuner.errors import ModelError
from tui_tuner.plan import RunPlan

TOLERANCES = {torch.float32: 2e-5, torch.bfloat16: 0.03}
"""Mean difference of log-probabilities that rounding explains."""


def check_packing(model: TrainingModel, plan: RunPlan, examples: StoredExamples) -> None:
    """Compare the shortest row behind another one with the same row in front, where nothing can leak into it.

    Raises:
        ModelError: the row in front changes what the model says of the row behind it.
    """
    if not plan.data.packing or plan.model.is_accelerated:
        return
    shortest = np.argsort(examples.lengths, kind="stable")[:2].tolist()
    row, other = shortest[0], shortest[-1]
    count = examples[row].num_trained
    model.module.eval()
    in_front = _log_probabilities(model, examples, (row, other))[:count]
    behind = _log_probabilities(model, examples, (other, row))[-count:]
    difference = (behind - in_front).abs().mean().item()
    if not difference <= TOLERANCES[model.compute_dtype]:
        raise ModelError(
            f"{plan.model.model_type} does not keep packed rows apart: one row moves the log-probabilities of the next "
            f"by {difference:.4f} on average.",
            "Set data.packing = false.",
        )


@torch.inference_mode()
def _log_probabilities(model: TrainingModel, examples: StoredExamples, order: tuple[int, int]) -> Tensor:
    return model.loss(collate(examples, [order]).to(model.device)).log_probabilities
