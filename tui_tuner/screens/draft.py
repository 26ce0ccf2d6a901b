"""The recipe under construction: tables as TOML reads them, perhaps incomplete, never lost.

A `Draft` is a value; `DraftHistory` remembers the ones before it. Files are the business of `draft_file`.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from tui_tuner.errors import Problem, RecipeError
from tui_tuner.recipe import Recipe, check_recipe
from tui_tuner.recipe.schema import schema_at

MAX_UNDO = 200
UNCHOSEN = "(none chosen yet)"
"""Stands for a model or data set that has not been chosen, so that the rest of a draft can be checked and planned."""

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Draft:
    """What was typed so far. A path is a tuple such as ("adapter", "rank") or ("data", "sources", 0, "path")."""

    tables: Mapping[str, Any] = field(default_factory=dict)
    name: str = "recipe.toml"

    def get(self, *path: str | int) -> Any:
        """The value at a path: what was set, or else the field's default; None where neither is there."""
        place: Any = self.tables
        for part in path:
            is_there = part in place if isinstance(place, Mapping) else _holds(place, part)
            if not is_there:
                return (schema_at(path) or {}).get("default")
            place = place[part]
        return place

    def is_set(self, *path: str | int) -> bool:
        """Whether the field says something else than its default."""
        return bool(self.get(*path) != (schema_at(path) or {}).get("default"))

    def with_value(self, value: Any, *path: str | int) -> "Draft":
        """The draft with one field set; setting a field to its default takes it out."""
        tables = copy.deepcopy(dict(self.tables))
        place: Any = tables
        for part, following in pairwise(path):
            place = _entered(place, part, following)
        if isinstance(path[-1], str) and value == (schema_at(path) or {"default": ...}).get("default", ...):
            place.pop(path[-1], None)
        else:
            _put(place, path[-1], value)
        return Draft({name: table for name, table in tables.items() if table}, self.name)

    def without(self, *path: str | int) -> "Draft":
        """The draft with one field back at its default, or one list entry taken out."""
        tables = copy.deepcopy(dict(self.tables))
        place: Any = tables
        for part in path[:-1]:
            try:
                place = place[part]
            except (KeyError, IndexError):
                return self
        if isinstance(place, list) and isinstance(path[-1], int):
            del place[path[-1] : path[-1] + 1]
        else:
            place.pop(path[-1], None)
        return Draft({name: table for name, table in tables.items() if table}, self.name)

    @cached_property
    def checked(self) -> tuple[Recipe | None, tuple[Problem, ...]]:
        """The recipe, or what stands against it."""
        return _checked(self.tables)

    @property
    def recipe(self) -> Recipe | None:
        return self.checked[0]

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.checked[1]

    @cached_property
    def preview(self) -> tuple[Recipe | None, tuple[Problem, ...]]:
        """As `checked`, with a stand-in for a model and data that were not chosen yet."""
        draft = self if self.get("model", "source") else self.with_value(UNCHOSEN, "model", "source")
        if not draft.get("data", "sources"):
            draft = draft.with_value([{"path": UNCHOSEN}], "data", "sources")
        return _checked(draft.tables)


def _checked(tables: Mapping[str, Any]) -> tuple[Recipe | None, tuple[Problem, ...]]:
    try:
        return check_recipe(tables), ()
    except RecipeError as error:
        return None, error.problems


def _holds(place: Any, part: str | int) -> bool:
    return isinstance(place, list) and isinstance(part, int) and part < len(place)


def _entered(place: Any, part: str | int, following: str | int) -> Any:
    """The table or list at `part`, made where it is missing."""
    if isinstance(place, list) and isinstance(part, int):
        while len(place) <= part:
            place.append({})
        return place[part]
    return place.setdefault(part, [] if isinstance(following, int) else {})


def _put(place: Any, part: str | int, value: Any) -> None:
    if isinstance(place, list) and isinstance(part, int) and part >= len(place):
        place.append(value)
    else:
        place[part] = value


@dataclass
class DraftHistory:
    """The drafts before and after the present one. Changes of one field within a burst count as one step."""

    present: Draft
    past: list[Draft] = field(default_factory=list)
    future: list[Draft] = field(default_factory=list)
    _burst: tuple[Path, float] | None = None

    def change(self, draft: Draft, path: Path = (), now: float = 0.0, burst_seconds: float = 1.0) -> None:
        """Make `draft` the present one. Quick changes of the same path are undone together."""
        if draft == self.present:
            return
        is_same_burst = self._burst is not None and path and self._burst[0] == path
        if not (is_same_burst and self._burst is not None and now - self._burst[1] < burst_seconds):
            self.past = [*self.past, self.present][-MAX_UNDO:]
        self._burst = (path, now) if path else None
        self.present = draft
        self.future = []

    def undo(self) -> bool:
        if not self.past:
            return False
        self.future.append(self.present)
        self.present = self.past.pop()
        self._burst = None
        return True

    def redo(self) -> bool:
        if not self.future:
            return False
        self.past.append(self.present)
        self.present = self.future.pop()
        self._burst = None
        return True
