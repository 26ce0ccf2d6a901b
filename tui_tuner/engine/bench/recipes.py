"""The recipe that is measured: a person's, the starter's, or one over a random model of a named shape. No torch."""

import json
import random
import string
from collections.abc import Sequence
from pathlib import Path

from tui_tuner.engine.bench.shape_names import ShapeName
from tui_tuner.recipe import Recipe, parse_recipe, read_recipe
from tui_tuner.starter import starter_recipe_text

LENGTH = 2048
TINY_LENGTH = 128
ROWS = 64
CONTROL_TOKENS = 4
"""Tokens that the random model's template adds to a row."""
NEVER = 10**9


def recipe_to_measure(path: Path | None, overrides: Sequence[str]) -> Recipe:
    """The recipe of a file, the starter's where there is none.

    Raises:
        RecipeError: it is wrong.
    """
    if path is not None:
        return read_recipe(path, overrides)
    return parse_recipe(starter_recipe_text(), overrides, source="the starter's recipe")


def recipe_of_shape(shape: ShapeName, model: Path, rows: Path, overrides: Sequence[str]) -> Recipe:
    """Rows of the recipe's max length for the random model in `model`; writes them.

    Raises:
        RecipeError: an override is wrong.
    """
    places = (
        f"model.source={json.dumps(str(model))}",
        f"data.sources=[{{path = {json.dumps(str(rows))}}}]",
        f"data.max_length={TINY_LENGTH if shape == 'tiny' else LENGTH}",
        "data.packing=false",
        "adapter.alpha=16.0",
    )
    recipe = parse_recipe("", (*places, *overrides), source=f"the recipe of --shape {shape}")
    length = LENGTH if recipe.data.max_length == "auto" else recipe.data.max_length
    letters = random.Random(0)
    with rows.open("w", encoding="utf-8") as file:
        for _ in range(ROWS):
            text = "".join(letters.choices(string.ascii_lowercase, k=length - CONTROL_TOKENS))
            messages = [{"role": "user", "content": text[:1]}, {"role": "assistant", "content": text[1:]}]
            file.write(json.dumps({"messages": messages}) + "\n")
    return recipe


def for_measuring(recipe: Recipe, runs_folder: Path, num_steps: int) -> Recipe:
    """The same work in each step; nothing is evaluated, sampled, saved or sent between steps."""
    updates = {
        "data": {"evaluation_fraction": 0.0, "evaluation_sources": ()},
        "optimizer": {"warmup_steps": "auto"},
        "training": {
            "epochs": "auto",
            "max_steps": num_steps,
            "evaluate_every": NEVER,
            "save_every": NEVER,
            "sample_prompts": (),
            "exact_match_rows": 0,
        },
        "output": {"folder": str(runs_folder), "name": "bench", "trackers": ()},
    }
    return recipe.model_copy(
        update={name: getattr(recipe, name).model_copy(update=values) for name, values in updates.items()}
    )
