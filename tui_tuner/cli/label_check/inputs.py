"""What `tuner labels` looks at: a recipe's data and tokenizer, or a folder and files named on the command line."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.data.labels import TrainOn
from tui_tuner.errors import TunerError
from tui_tuner.recipe import DataSection, Recipe, parse_recipe, read_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The arguments as they were typed; None and empty where they were not."""

    recipe: Path | None = None
    overrides: Sequence[str] = ()
    model: Path | None = None
    data: Sequence[str] = ()
    template: str | None = None
    max_length: int | None = None
    train_on: TrainOn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelInputs:
    """What the audit needs."""

    data: DataSection
    tokenizer_folder: Path
    train_on: TrainOn
    max_length: int | None
    """As the recipe or the command line gives it, within the context; None where nobody did."""
    context_length: int | None
    """Of a recipe's model, where its config.json is there."""
    command: str
    """The command line that comes here again."""


def read_inputs(asked: Asked) -> LabelInputs:
    """Settle what is looked at. Of a hub model only small files are fetched.

    Raises:
        TunerError: arguments that do not go together, a wrong recipe, or a model that cannot be found.
    """
    _check(asked)
    recipe = _recipe(asked)
    folder = asked.model or _located(recipe)
    context_length = None if asked.model else _context_length(folder, recipe)
    return LabelInputs(
        data=recipe.data,
        tokenizer_folder=folder,
        train_on=recipe.objective.train_on,
        max_length=_max_length(recipe, context_length),
        context_length=context_length,
        command=_command(asked),
    )


def _check(asked: Asked) -> None:
    if asked.recipe is not None and (asked.model is not None or asked.data):
        raise TunerError(
            "A recipe names its model and its data itself.", "Leave out the recipe, or --model and --data."
        )
    if asked.recipe is None and (asked.model is None or not asked.data):
        message = "Nothing to look at: name a recipe, or a model's folder and data."
        raise TunerError(message, "`tuner labels recipe.toml`, or `tuner labels --model FOLDER --data rows.jsonl`.")
    if asked.model is not None and not asked.model.is_dir():
        state = "is a file" if asked.model.exists() else "does not exist"
        raise TunerError(f"The folder {asked.model} {state}.", "Name a folder that holds tokenizer.json.")


def _recipe(asked: Asked) -> Recipe:
    overrides = [*asked.overrides, *_options(asked)]
    if asked.recipe is not None:
        return read_recipe(asked.recipe, overrides)
    sources = "".join(f"[[data.sources]]\npath = {_toml(path)}\n" for path in asked.data)
    return parse_recipe(f"[model]\nsource = {_toml(str(asked.model))}\n{sources}", overrides, "command line")


def _options(asked: Asked) -> list[str]:
    """The options that are short for a field of the recipe."""
    fields = {
        "data.chat_template": None if asked.template is None else _toml(asked.template),
        "data.max_length": asked.max_length,
        "objective.train_on": asked.train_on,
    }
    return [f"{field}={value}" for field, value in fields.items() if value is not None]


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _located(recipe: Recipe) -> Path:
    from tui_tuner.planning.model_source import locate_model

    return locate_model(recipe.model).folder


def _context_length(folder: Path, recipe: Recipe) -> int | None:
    from tui_tuner.planning.config_json import read_config

    if not (folder / "config.json").is_file():
        return None
    return read_config(folder, allow_remote_code=recipe.model.remote_code).context_length


def _max_length(recipe: Recipe, context_length: int | None) -> int | None:
    if recipe.data.max_length == "auto":
        return None
    return recipe.data.max_length if context_length is None else min(recipe.data.max_length, context_length)


def _command(asked: Asked) -> str:
    words = ["tuner", "labels", *([str(asked.recipe)] if asked.recipe else [])]
    named = {"--model": asked.model, "--template": asked.template, "--max-length": asked.max_length}
    for option, value in (named | {"--train-on": asked.train_on}).items():
        words += [option, str(value)] if value is not None else []
    words += [word for path in asked.data for word in ("--data", path)]
    words += [word for override in asked.overrides for word in ("--set", override)]
    return shlex.join(words)
