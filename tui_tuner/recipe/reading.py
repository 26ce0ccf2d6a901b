"""From TOML text to a checked `Recipe`. All problems are gathered and reported together."""

import difflib
import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from tui_tuner.errors import Problem, RecipeError
from tui_tuner.recipe.schema import (
    JsonSchema,
    allowed_words,
    alternatives,
    choices_of,
    description_of,
    fields_of,
    schema_at,
)
from tui_tuner.recipe.sections import Recipe
from tui_tuner.redaction import holds_secret

MAX_RECIPE_BYTES = 1_000_000
SHOWN_VALUE_LENGTH = 60
MAX_PLACE_DIGITS = 6
# What Python makes of arguments that are not UTF-8.
_SURROGATES = re.compile("[\ud800-\udfff]")
_PATH_PARTS = re.compile(r"[A-Za-z0-9_-]+")


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe file; `overrides` are "section.field=value" texts that win over the file.

    Relative paths in the recipe are taken from the current folder, as on every command line.

    Raises:
        RecipeError: the file cannot be read, is not TOML, or does not describe a recipe.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_RECIPE_BYTES + 1)
        # Some editors put a byte order mark in front.
        text = raw.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise _file_problem(path, "does not exist") from error
    except IsADirectoryError as error:
        raise _file_problem(path, "is a folder; name the .toml file in it") from error
    except UnicodeDecodeError as error:
        raise _file_problem(path, f"is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise _file_problem(path, f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_RECIPE_BYTES:
        raise _file_problem(path, f"is larger than {MAX_RECIPE_BYTES:,} bytes; this is not a recipe")
    return parse_recipe(text, overrides, source=str(path))


def parse_recipe(text: str, overrides: Sequence[str] = (), source: str = "recipe") -> Recipe:
    """Check TOML text, with overrides applied, against the sections.

    Raises:
        RecipeError: with every problem found.
    """
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # ValueError also for a number of thousands of digits.
        raise RecipeError([Problem(path="file", message=f"is not valid TOML: {error}")], source) from error
    problems = _apply_overrides(tables, overrides)
    try:
        recipe = check_recipe(tables, source)
    except RecipeError as error:
        raise RecipeError([*problems, *error.problems], source) from error
    if problems:
        raise RecipeError(problems, source)
    return recipe


def check_recipe(tables: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """Check the tables of a recipe, as TOML reads them, against the sections.

    Raises:
        RecipeError: with every problem found.
    """
    try:
        as_json = json.dumps(tables, default=_refuse)
    except (TypeError, ValueError, RecursionError) as error:
        problem = Problem(path="file", message=f"holds a value that no field takes: {error}")
        raise RecipeError([problem], source) from error
    if secrets := [*_secrets(tables)]:
        raise RecipeError(secrets, source)
    try:
        return Recipe.model_validate_json(as_json)
    except ValidationError as error:
        raise RecipeError(_problems(error), source) from error


def _secrets(value: object, path: str = "") -> Iterator[Problem]:
    """Fields that hold an access token: a recipe is copied into runs, checkpoints and model cards."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _secrets(inner, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _secrets(inner, f"{path}[{number}]")
    elif isinstance(value, str) and holds_secret(value):
        message = "holds an access token, which does not belong in a recipe; set HF_TOKEN in the environment instead"
        yield Problem(path=path, message=message)


def _file_problem(path: Path, message: str) -> RecipeError:
    return RecipeError([Problem(path="file", message=message)], str(path))


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"{value} is a date or a time; put it in quotes if it is meant as a text")


def _apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    problems = []
    for override in overrides:
        path, equals, value_text = override.partition("=")
        parts = [
            int(part) if part.isdigit() and len(part) <= MAX_PLACE_DIGITS else part
            for part in _PATH_PARTS.findall(path.strip())
        ]
        if not equals or _dotted(parts) != path.strip() or len(parts) < 2:
            problems.append(Problem(path="--set", message=f"{_shown(override)} is not section.field=value"))
        elif _SURROGATES.search(override):
            problems.append(Problem(path="--set", message=f"{_shown(override)} is not UTF-8"))
        elif not _set(tables, parts, _override_value(value_text.strip())):
            problems.append(
                Problem(path="--set", message=f"{_shown(override)}: there is no {_dotted(parts[:-1])} to set")
            )
    return problems


def _set(tables: Any, parts: Sequence[int | str], value: Any) -> bool:
    """Put a value at a path, making the tables on the way; false where the path leads through something else."""
    for part, following in itertools.pairwise([*parts, None]):
        is_there = isinstance(tables, dict) if isinstance(part, str) else _has_place(tables, part)
        if not is_there:
            return False
        if following is None:
            tables[part] = value
        elif isinstance(tables, dict):
            tables = tables.setdefault(part, {} if isinstance(following, str) else [{}])
        else:
            tables = tables[part]
    return True


def _has_place(tables: Any, place: int | str | None) -> bool:
    return isinstance(tables, list) and isinstance(place, int) and place < len(tables)


def _override_value(text: str) -> Any:
    """The value as TOML would read it; anything else is taken as a plain string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _problems(error: ValidationError) -> list[Problem]:
    """One problem for each field, however many alternatives of a union it failed."""
    if any(detail["type"] == "json_invalid" for detail in error.errors(include_url=False, include_input=False)):
        return [Problem(path="file", message="holds a text with half of a character (a lone surrogate)")]
    by_path: dict[tuple[int | str, ...], list[Any]] = {}
    for detail in error.errors(include_url=False):
        # pydantic calls a list too short when its only entry is wrong, and that entry has a problem of its own.
        if not (detail["type"] == "too_short" and detail["input"]):
            by_path.setdefault(_location_in_recipe(detail["loc"]), []).append(detail)
    return [Problem(path=_dotted(path), message=_message(path, details)) for path, details in by_path.items()]


def _location_in_recipe(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """Cut off the names of union branches and the keys of free tables, which pydantic appends."""
    for length in range(len(location) + 1):
        schema = schema_at(location[:length])
        if schema is None:
            return location[:length]
        if length and not fields_of(schema) and not _is_list_of_tables(schema):
            return location[:length]
    return location


def _is_list_of_tables(schema: JsonSchema) -> bool:
    return any("$ref" in kind.get("items", {}) for kind in alternatives(schema))


def _dotted(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "recipe"


def _message(path: tuple[int | str, ...], details: list[Mapping[str, Any]]) -> str:
    first = details[0]
    schema = schema_at(path)
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    if schema is None:
        return "no such field" + _did_you_mean(str(path[-1]), tuple(fields_of(schema_at(path[:-1]) or {})))
    if first["type"] == "missing":
        return f"is required: {description_of(schema)}"
    if fields_of(schema):
        header = f"[[{_dotted(path[:-1])}]]" if isinstance(path[-1], int) else f"[{_dotted(path)}]"
        return f"is {_shown(first['input'])}; a table is expected, written as {header}"
    allowed = allowed_words(schema)
    if first["type"] == "finite_number":
        allowed = allowed.replace("a number", "a finite number")
    choices = choices_of(schema)
    typed = first["input"]
    near = difflib.get_close_matches(typed, choices, n=1) if isinstance(typed, str) else []
    hint = f'; did you mean "{near[0]}"?' if near else ""
    return f"is {_shown(typed)}; allowed: {allowed}{hint}"


def _did_you_mean(typed: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(typed, known, n=1, cutoff=0.65)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(known)}" if known and len(known) <= 12 else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= SHOWN_VALUE_LENGTH else text[: SHOWN_VALUE_LENGTH - 3] + "..."
