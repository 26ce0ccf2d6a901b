"""Where a run stands, apart from its tensors: what a checkpoint holds as JSON. Pure values."""

from pydantic import BaseModel, ConfigDict

from tui_tuner.engine.batches import Position
from tui_tuner.engine.checkpoints.random_state import RandomState
from tui_tuner.events import CheckpointSaved, EvalFinished
from tui_tuner.plan import MemoryFit


class TrainingState(BaseModel):
    """Everything between two steps that decides what comes next."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    step: int
    """Steps that are done; the schedule follows from it."""
    position: Position
    data_seed: int
    learning_rate_scale: float
    """The factor that a person set."""
    last_eval: EvalFinished | None
    last_answered: int | None
    best_loss: float | None
    """Lowest held-out loss so far, which later ones are compared with."""
    best: CheckpointSaved | None
    """The best checkpoint so far; this one where it is the best."""
    saved: CheckpointSaved
    """What the journal says of this checkpoint."""
    journal_position: int
    """Byte offset in the journal at which that line stands."""
    seconds: float
    """Since the model began to load, all resumed runs together."""
    random: RandomState
    optimizer_numbers: dict[str, dict[str, int | float]]
    """What the optimizer keeps for each tensor beside tensors."""
    fit: MemoryFit = MemoryFit()
    """How the run came to stay within its device's memory."""
