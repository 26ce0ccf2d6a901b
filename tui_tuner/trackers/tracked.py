"""What trackers are told of a run: numbers by step, and the settings that a person compares runs by. Pure values."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tui_tuner.events import EvalFinished, StepFinished, TrainEvent
from tui_tuner.plan import RunPlan
from tui_tuner.redaction import redacted

Setting = str | int | float | bool
Point = tuple[str, int]
"""Kind of event, and step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """One run, as a tracker files it."""

    name: str
    project: str
    folder: Path
    settings: dict[str, Setting]
    resumes_after: int | None = None
    """Where a run goes on: steps after this one are taken again. None for a run that begins."""


class Tracker(Protocol):
    """Draws one run. Whatever it raises ends its part in the run, and not the run."""

    def log(self, step: int, values: dict[str, float], time: float) -> None:
        """Numbers of one step; `time` is in seconds since 1970."""

    def close(self, *, has_failed: bool) -> None:
        """The run is over, or this process's part of it."""


def values_of(event: TrainEvent) -> tuple[int, dict[str, float]] | None:
    """Step and numbers of an event; None for events without."""
    match event:
        case StepFinished():
            values = {
                "train/loss": event.loss,
                "train/grad_norm": event.grad_norm,
                "train/learning_rate": event.learning_rate,
                "train/epoch": event.epoch,
                "train/tokens_per_second": event.tokens / max(event.seconds, 1e-9),
            }
            memory = {"train/memory_gib": event.memory / 2**30} if event.memory is not None else {}
            return event.step, values | memory
        case EvalFinished():
            return event.step, {"eval/loss": event.loss} | {f"eval/{name}": one for name, one in event.metrics.items()}
        case _:
            return None


def points_in(events: Iterable[TrainEvent]) -> frozenset[Point]:
    """Which numbers a run's events hold."""
    return frozenset((type(event).__name__, found[0]) for event in events if (found := values_of(event)) is not None)


def settings_of(plan: RunPlan) -> dict[str, Setting]:
    """What runs are compared by. Texts are freed of access tokens."""
    settings: dict[str, Setting] = {
        "model": plan.model.source,
        "method": plan.adapter.method,
        "rank": plan.adapter.rank,
        "alpha": plan.adapter.alpha,
        "dropout": plan.adapter.dropout,
        "targets": ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in plan.adapter.target_names)),
        "modules_to_save": ", ".join(plan.adapter.modules_to_save),
        "trainable_parameters": plan.adapter.num_trainable,
        "quantization": plan.quantization,
        "dtype": plan.dtype,
        "learning_rate": plan.learning_rates.adapter,
        "embedding_learning_rate": plan.learning_rates.embedding,
        "schedule": plan.schedule.schedule,
        "total_steps": plan.schedule.total_steps,
        "micro_batch_size": plan.schedule.micro_batch_size,
        "gradient_accumulation": plan.schedule.gradient_accumulation,
        "max_length": plan.data.max_length,
        "rows": plan.data.num_rows,
        "seed": plan.recipe.training.seed,
    }
    return {name: redacted(value) if isinstance(value, str) else value for name, value in settings.items()}
