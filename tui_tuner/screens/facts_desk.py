"""Reads what a draft names (model, data, machine) in threads, once each, and remembers the answers.

The desk never waits and never draws: `facts` says what is known now, and `on_change` is called when more is. While
something is read anew for another setting, the answer for the setting before it stands, so that no number blinks.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tui_tuner.errors import TunerError
from tui_tuner.hardware import Hardware
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
        self._standing: dict[Hashable, Any] = {}
        """The last answer about each thing, whatever its settings were."""
        self._hardware = environment.probe()

    def facts(self, draft: Draft) -> tuple[Facts, bool, bool]:
        """What is known, and whether model and data are being read. Starts what is missing."""
        recipe, _ = draft.preview
        facts = Facts(hardware=self._hardware)
        if recipe is None or recipe.model.source == UNCHOSEN:
            return facts, False, False
        subject: Hashable = ("model", recipe.model.source, recipe.model.revision)
        model, is_reading_model = self._answer(subject, _model_key(recipe), lambda: self._read_model(recipe))
        facts = replace(facts, model=model)
        has_data = recipe.data.sources[0].path != UNCHOSEN
        if model is None or model.base is None or not has_data:
            return facts, is_reading_model, False
        subject = ("data", subject, tuple(source.path for source in recipe.data.sources))
        data, is_reading_data = self._answer(subject, _data_key(recipe), lambda: self._read_data(recipe, model))
        return replace(facts, data=data), is_reading_model, is_reading_data

    @property
    def hardware(self) -> Hardware:
        """The machine, as it was when it was looked at last."""
        return self._hardware

    def look_again(self) -> None:
        """Forget what was read: files may have changed."""
        with self._lock:
            self._answers.clear()
        self._hardware = self._environment.probe()
        self._on_change()

    def _answer(self, subject: Hashable, key: Hashable, read: Callable[[], Any]) -> tuple[Any, bool]:
        """The answer, or the one that stands for it, and whether it is still being read."""
        with self._lock:
            if key in self._answers:
                self._standing[subject] = self._answers[key]
                return self._answers[key], False
            standing = self._standing.get(subject)
            if key in self._asked:
                return standing, True
            self._asked.add(key)
        threading.Thread(target=self._fill, args=(key, read), daemon=True, name="facts").start()
        return standing, True

    def _fill(self, key: Hashable, read: Callable[[], Any]) -> None:
        answer = read()
        with self._lock:
            for remembered in (self._answers, self._standing):
                if len(remembered) >= MAX_REMEMBERED:
                    remembered.pop(next(iter(remembered)))
            self._answers[key] = answer
            self._asked.discard(key)
        self._on_change()

    def _read_model(self, recipe: Recipe) -> ModelAnswer:
        from tui_tuner.journal.speeds import measured_speeds
        from tui_tuner.planning.model_facts import read_base_model
        from tui_tuner.planning.model_source import locate_model

        try:
            located = locate_model(recipe.model, cache_folder=self._environment.hub_cache, fetch=self._fetch)
            base = read_base_model(located, recipe.model)
            measured = measured_speeds(self._environment.runs_folder, base.facts.source)
            return ModelAnswer(base=base, name=located.name, measured=measured)
        except TunerError as error:
            return ModelAnswer(failure=error)

    def _fetch(self, repo_id: str, revision: str | None, patterns: Sequence[str]) -> Path:
        from huggingface_hub.errors import LocalEntryNotFoundError

        from tui_tuner.planning.hub.fetch import fetch_from_hub

        if not self._environment.can_reach_network:
            raise LocalEntryNotFoundError(f"{repo_id} is not in the cache")
        return fetch_from_hub(repo_id, revision, patterns)

    def _read_data(self, recipe: Recipe, model: ModelAnswer) -> DataAnswer:
        from tui_tuner.planning.data_look import look_at_data

        assert model.base is not None
        try:
            return DataAnswer(facts=look_at_data(recipe, model.base))
        except TunerError as error:
            return DataAnswer(failure=error)


def _model_key(recipe: Recipe) -> tuple[str, str]:
    # What is computed with, and which adapter is continued, change nothing about the files that are read. Only
    # quantization = "none" does, and "fp8": for a repository of 4-bit weights it loads their 16-bit original.
    quantization = "none" if recipe.model.quantization in ("none", "fp8") else "auto"
    section = recipe.model.model_copy(update={"quantization": quantization, "dtype": "auto", "adapter": None})
    return "model", section.model_dump_json()


def _data_key(recipe: Recipe) -> tuple[str, str, str, str]:
    return "data", _model_key(recipe)[1], recipe.data.model_dump_json(), recipe.objective.model_dump_json()
