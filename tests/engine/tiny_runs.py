"""Tiny real runs for the engine tests: rows, a recipe over a tiny model, and the run itself. Nothing here asserts."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load_file
from torch import Tensor

from tests.tiny import write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.events import EvalFinished, Event, RunState, StepFinished, TrainEvent
from tui_tuner.recipe import Recipe, parse_recipe

NAMES = ("ann", "ben", "cleo", "dan", "eva", "fay", "gus", "hal", "ida", "jon", "kim", "leo")
RECIPE = """
[training]
max_steps = 2
micro_batch_size = 2
gradient_accumulation = 2
sample_tokens = 4
evaluate_every = 99
save_every = 99
[optimizer]
learning_rate = 0.01
[data]
evaluation_fraction = 0.0
packing = false
[acceleration]
device = "cpu"
"""
ADAPTER = """
[adapter]
rank = 4
alpha = 8
"""
Kind = TypeVar("Kind", bound=Event)


@dataclass(frozen=True)
class Done:
    """A run that ended, and what it said."""

    folder: Path
    events: tuple[TrainEvent, ...]

    @property
    def losses(self) -> list[float]:
        return [one.loss for one in self.of(StepFinished)]

    @property
    def eval_losses(self) -> list[float]:
        return [one.loss for one in self.of(EvalFinished)]

    @property
    def adapter(self) -> dict[str, Tensor]:
        return load_file(self.folder / "adapter" / "adapter_model.safetensors")

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [one for one in self.events if isinstance(one, kind)]


def write_rows(path: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def greetings(count: int = len(NAMES)) -> list[dict[str, object]]:
    """Rows that a tiny model can learn by heart."""
    return [{"prompt": f"hi {NAMES[index % len(NAMES)]}", "completion": f"ok {index}"} for index in range(count)]


def recipe_in(folder: Path, *overrides: str, model: Path | None = None) -> Recipe:
    """A recipe over greetings and a tiny llama, both written into the folder unless they are there or given."""
    if model is None:
        model = folder / "model"
        if not model.exists():
            write_tiny_model(model)
    rows = folder / "rows.jsonl"
    if not rows.exists():
        write_rows(rows, greetings())
    places = (f"model.source={model}", f"data.sources[0].path={rows}", f"output.folder={folder / 'runs'}")
    is_continued = any(override.startswith("model.adapter=") for override in overrides)
    text = RECIPE if is_continued else RECIPE + ADAPTER
    return parse_recipe(text, (*places, "output.name=one", *overrides))


def train(folder: Path, *overrides: str, model: Path | None = None, controls: Controls | None = None) -> Done:
    """A whole run, from the recipe to its last event."""
    recipe = recipe_in(folder, *overrides, model=model)
    events = tuple(run(recipe, controls or Controls()))
    return Done(folder / "runs" / recipe.output.name, events)


def folded(events: Sequence[TrainEvent]) -> RunState:
    state = RunState()
    for event in events:
        state = state.after(event)
    return state
