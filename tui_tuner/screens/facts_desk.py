"""Reads what a draft names (model, data, machine) in threads, once each, and remembers the answers.

The desk never waits and never draws: `facts` says what is known now, and `on_change` is called when more is.
"""

import threading
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.recipe import Recipe
from tui_tuner.screens.draft import UNCHOSEN, Draft
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.outlook import DataAnswer, Facts, ModelAnswer

MAX_REMEMBERED = 64


class FactsDesk:
    """`on_change` is called from the reading thread and must only post a message."""

    def __init__(self, environment: Environment, on_change: Callable[[], None]) -> None:
        self._environment = environment
        self._on_change = on_change
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Any] = {}
        self._asked: set[Hashable] = set()
        self._hardware = environment.probe()

    def facts(self, draft: Draft) -> tuple[Facts, bool, bool]:
        """What is known, and whether model and data are being read. Starts what is missing."""
        recipe, _ = draft.preview
        facts = Facts(hardware=self._hardware)
        if recipe is None or recipe.model.source == UNCHOSEN:
            return facts, False, False
        model = self._answer(_model_key(recipe), lambda: self._read_model(recipe))
        facts = replace(facts, model=model)
        has_data = recipe.data.sources[0].path != UNCHOSEN
        if model is None or model.base is None or not has_data:
            return facts, model is None, False
        data = self._answer(_data_key(recipe), lambda: self._read_data(recipe, model))
        return replace(facts, data=data), False, data is None

    def look_again(self) -> None:
        """Forget what was read: files may have changed."""
        with self._lock:
            self._answers.clear()
        self._hardware = self._environment.probe()
        self._on_change()

    def _answer(self, key: Hashable, read: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._answers or key in self._asked:
                return self._answers.get(key)
            self._asked.add(key)
        threading.Thread(target=self._fill, args=(key, read), daemon=True, name="facts").start()
        return None

    def _fill(self, key: Hashable, read: Callable[[], Any]) -> None:
        answer = read()
        with self._lock:
            if len(self._answers) >= MAX_REMEMBERED:
                self._answers.pop(next(iter(self._answers)))
            self._answers[key] = answer
            self._asked.discard(key)
        self._on_change()

    def _read_model(self, recipe: Recipe) -> ModelAnswer:
        from tui_tuner.planning.model_facts import read_base_model
        from tui_tuner.planning.model_source import locate_model

        try:
            located = locate_model(recipe.model, cache_folder=self._environment.hub_cache)
            return ModelAnswer(base=read_base_model(located, recipe.model), name=located.name)
        except TunerError as error:
            return ModelAnswer(failure=error)

    def _read_data(self, recipe: Recipe, model: ModelAnswer) -> DataAnswer:
        from tui_tuner.planning.data_look import look_at_data

        assert model.base is not None
        try:
            return DataAnswer(facts=look_at_data(recipe, model.base))
        except TunerError as error:
            return DataAnswer(failure=error)


def _model_key(recipe: Recipe) -> tuple[str, str]:
    # What is computed with, and which adapter is continued, change nothing about the files that are read.
    section = recipe.model.model_copy(update={"quantization": "auto", "dtype": "auto", "adapter": None})
    return "model", section.model_dump_json()


def _data_key(recipe: Recipe) -> tuple[str, str, str, str]:
    return "data", _model_key(recipe)[1], recipe.data.model_dump_json(), recipe.objective.model_dump_json()
