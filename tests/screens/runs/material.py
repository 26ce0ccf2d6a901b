"""Runs on disk without training: journals written from scripted events."""

from collections.abc import Sequence
from pathlib import Path

from tests.plans import NOON, llama_plan
from tui_tuner.events import EvalFinished, Outcome, RunFailed, RunFinished, RunStarted, StepFinished, TrainEvent
from tui_tuner.journal import RunJournal
from tui_tuner.recipe import recipe_to_toml


def write_run(
    runs_folder: Path,
    name: str,
    losses: Sequence[float] = (2.0, 1.0),
    end: TrainEvent | None = None,
    *,
    started: float = NOON,
    rank: int = 16,
) -> Path:
    """A run that made a step for each loss; its recipe asks for `rank`. Written anew where it is there already."""
    folder = runs_folder / name
    plan = llama_plan(steps=len(losses))
    recipe = plan.recipe.model_copy(update={"adapter": plan.recipe.adapter.model_copy(update={"rank": rank})})
    if folder.exists():
        (folder / "events.jsonl").unlink()
        (folder / "events.jsonl").write_text("")
        lines = _events(name, losses, end, started)
        (folder / "events.jsonl").write_text("".join(one.model_dump_json() + "\n" for one in lines))
        return folder
    with RunJournal.create(runs_folder, name, recipe_to_toml(recipe), plan) as journal:
        for event in _events(name, losses, end, started):
            journal.append(event)
    return folder


def finished(best: float = 0.9, step: int = 2) -> RunFinished:
    return RunFinished(
        time=NOON + 900,
        outcome=Outcome.COMPLETED,
        step=step,
        adapter="adapter",
        best_loss=best,
        best_step=step,
        seconds=900,
        tokens=1000,
    )


def failed(step: int = 2) -> RunFailed:
    return RunFailed(
        time=NOON + 900,
        error="TrainingError",
        message=f"Step {step}: loss is nan.",
        hint="Lower optimizer.learning_rate.",
        step=step,
    )


def _events(name: str, losses: Sequence[float], end: TrainEvent | None, started: float) -> list[TrainEvent]:
    plan = llama_plan(steps=len(losses))
    events: list[TrainEvent] = [RunStarted(time=started, run_id=name, folder=f"runs/{name}", plan=plan)]
    for number, loss in enumerate(losses, start=1):
        events.append(_step(number, loss, started))
    events.append(
        EvalFinished(
            time=started + len(losses) + 1, step=len(losses), loss=losses[-1], rows=10, trained_tokens=99, is_best=True
        )
    )
    return [*events, end] if end else events


def _step(number: int, loss: float, started: float) -> StepFinished:
    return StepFinished(
        time=started + number,
        step=number,
        loss=loss,
        grad_norm=1.0,
        learning_rate=2e-4,
        tokens=8192,
        trained_tokens=4096,
        seconds=1.0,
        epoch=0.1,
    )
