"""What two recipes say differently, field by field: nothing that is the same is shown."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tui_tuner.recipe import Recipe

NEVER_SHOWN = ("output.name", "output.folder")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field, and its value in each recipe; "–" where a recipe does not have it."""

    path: str
    values: tuple[str, ...]


def recipe_differences(recipes: tuple[Recipe, ...]) -> tuple[Difference, ...]:
    """The fields in which the recipes are not all alike, in the order of the recipe."""
    flat = [dict(_flat(recipe.model_dump(mode="json"), "")) for recipe in recipes]
    paths = dict.fromkeys(path for one in flat for path in one)
    found = (Difference(path, tuple(one.get(path, "–") for one in flat)) for path in paths if path not in NEVER_SHOWN)
    return tuple(one for one in found if len(set(one.values)) > 1)


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [pair for name, part in value.items() for pair in _flat(part, f"{path}.{name}" if path else str(name))]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return [pair for number, part in enumerate(value) for pair in _flat(part, f"{path}[{number}]")]
    return [(path, value if isinstance(value, str) else json.dumps(value))]
