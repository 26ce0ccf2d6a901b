"""Runs that end before their end, and what they are compared with. Nothing here asserts but `assert_same`."""

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file

from tests.engine.tiny_runs import recipe_in
from tui_tuner.controls import Controls
from tui_tuner.engine.resume import resume
from tui_tuner.engine.run import run
from tui_tuner.events import StepFinished, TrainEvent
from tui_tuner.journal import read_state

EVERYTHING = (
    "training.max_steps=9", "training.gradient_accumulation=3", "training.save_every=2", "training.evaluate_every=4",
    "adapter.dropout=0.2", "data.evaluation_fraction=0.2", "optimizer.schedule=cosine",
)  # fmt: skip
"""Ten rows in steps of six: the last step of each epoch is smaller, and the run ends inside the fifth."""
Moment = Callable[[TrainEvent], bool]


def at_step(step: int) -> Moment:
    return lambda event: isinstance(event, StepFinished) and event.step == step


def cut(folder: Path, name: str, moment: Moment, *overrides: str) -> Path:
    """A run that ends at once when an event comes; returns its folder."""
    events = run(recipe_in(folder, *overrides, f"output.name={name}"), Controls())
    next(event for event in events if moment(event))
    events.close()  # type: ignore[attr-defined]
    return folder / "runs" / name


def stopped(folder: Path, name: str, step: int, *overrides: str) -> Path:
    """A run that was asked to stop after a step; 0 stops it before the first. Returns its folder."""
    controls = Controls()
    if step == 0:
        controls.stop()
    for event in run(recipe_in(folder, *overrides, f"output.name={name}"), controls):
        if at_step(step)(event):
            controls.stop()
    return folder / "runs" / name


def go_on(folder: Path, until: int | None = None, *, accept: bool = False) -> list[TrainEvent]:
    """Resume, and stop after a step; the events of this part."""
    controls, seen = Controls(), []
    for event in resume(folder, controls, accept=accept):
        seen.append(event)
        if until is not None and at_step(until)(event):
            controls.stop()
    return seen


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """What a finished run saved."""
    (file,) = [*folder.glob("adapter/*.safetensors"), *folder.glob("model/*.safetensors")]
    return load_file(file)


def assert_same(resumed: Path, whole: Path) -> None:
    """The same weights bit for bit, and the same story: steps, tokens, evaluations, and how it ended."""
    ours, theirs = weights(resumed), weights(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    now, then = read_state(resumed), read_state(whole)
    assert (now.losses, now.tokens, now.total_steps) == (then.losses, then.tokens, then.total_steps)
    assert [(one.step, one.loss, one.is_best) for one in now.evals] == [
        (one.step, one.loss, one.is_best) for one in then.evals
    ]
    assert now.finished is not None and then.finished is not None
    assert (now.finished.outcome, now.finished.best_step) == (then.finished.outcome, then.finished.best_step)
