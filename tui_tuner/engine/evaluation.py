"""Loss and token accuracy on held-out rows, by the definition that training uses."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tui_tuner.data.labels import LabelledExample
from tui_tuner.engine.batches import evaluation_batches
from tui_tuner.engine.model import TrainingModel


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Means over every trained token of the rows."""

    loss: float
    token_accuracy: float
    rows: int
    trained_tokens: int


@torch.inference_mode()
def evaluate(model: TrainingModel, examples: Sequence[LabelledExample], micro_batch_size: int) -> Evaluation:
    """Mean loss over all trained tokens of the examples; leaves the model in the mode in which it was."""
    was_training = model.module.training
    model.module.eval()
    loss, correct, trained_tokens = 0.0, 0, 0
    for batch in evaluation_batches(examples, micro_batch_size):
        sums = model.loss(batch.to(model.device))
        loss += sums.loss.double().item()
        correct += int(sums.correct.item())
        trained_tokens += len(sums.log_probabilities)
    model.module.train(was_training)
    return Evaluation(loss / trained_tokens, correct / trained_tokens, len(examples), trained_tokens)
