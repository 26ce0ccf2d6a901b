"""Notices a loss that jumps. It says so and changes nothing: some data have such rows, and some runs recover."""

from collections import deque
from statistics import median

from tui_tuner.events import StepFinished, WarningRaised

REMEMBERED = 32
"""Steps that tell what is usual."""
FEWEST = 12
"""With fewer, nothing is usual yet."""
DEVIATIONS = 8.0
"""Times the median deviation from the median; five batches of ordinary text lie within three of them."""
LEAST_RISE = 0.5
"""Share of the usual loss below which no jump is worth a word: a steady loss has tiny deviations."""
LEAST_NATS = 0.1
"""Nor is a smaller one: near zero a single token that is new to the model multiplies the loss of a batch."""
SILENT_STEPS = 20
"""After a warning, so that a run that has gone wrong does not fill its journal."""


class LossWatch:
    """Fed with every step of a run."""

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=REMEMBERED)
        self._silent_until = 0

    def take(self, step: StepFinished) -> WarningRaised | None:
        """The warning that this step deserves."""
        usual = median(self._losses) if len(self._losses) >= FEWEST else None
        deviation = median(abs(loss - usual) for loss in self._losses) if usual is not None else 0.0
        self._losses.append(step.loss)
        if usual is None or step.loss <= usual + max(DEVIATIONS * deviation, LEAST_RISE * abs(usual), LEAST_NATS):
            return None
        if step.step < self._silent_until:
            return None
        self._silent_until = step.step + SILENT_STEPS
        return WarningRaised(
            message=f"The loss jumped at step {step.step:,}: {step.loss:.4f}, where {usual:.4f} was usual "
            f"(grad_norm {step.grad_norm:.3g}).",
            hint="If it stays there, stop, lower optimizer.learning_rate, and look at the rows of this step.",
        )
