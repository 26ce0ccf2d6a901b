"""From TOML text to a checked `Recipe`. All problems are gathered and reported together."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tui_tuner.errors import Problem, RecipeError
from tui_tuner.recipe.sections import Recipe

MAX_RECIPE_BYTES = 1_000_000
SHOWN_VALUE_LENGTH = 60


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read and check a recipe file; `overrides` are "section.field=value" texts that win over the file.

    Relative paths in the recipe are taken from the current folder, as on every command line.

    Raises:
        RecipeError: the file cannot be read, is not TOML, or does not describe a recipe.
    """
    try:
        if path.stat().st_size > MAX_RECIPE_BYTES:
            raise _file_problem(path, f"is larger than {MAX_RECIPE_BYTES} bytes; this is not a recipe")
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise _file_problem(path, "does not exist") from error
    except IsADirectoryError as error:
        raise _file_problem(path, "is a folder; name the .toml file in it") from error
    except UnicodeDecodeError as error:
        raise _file_problem(path, f"is not UTF-8 (byte {error.start})") from error
    except OSError as error:
        raise _file_problem(path, f"cannot be read: {error.strerror}") from error
    return parse_recipe(text, overrides, source=str(path))


def parse_recipe(text: str, overrides: Sequence[str] = (), source: str = "recipe") -> Recipe:
    """Check TOML text, with overrides applied, against the sections.

    Raises:
        RecipeError: with every problem found.
    """
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RecipeError([Problem(path="file", message=f"is not valid TOML: {error}")], source) from error
    problems = _apply_overrides(tables, overrides)
    try:
        as_json = json.dumps(tables)
    except TypeError as error:
        raise RecipeError([Problem(path="file", message=f"holds a value that no field takes: {error}")], source) from error
    try:
        recipe = Recipe.model_validate_json(as_json)
    except ValidationError as error:
        raise RecipeError([*problems, *_problems(error)], source) from error
    if problems:
        raise RecipeError(problems, source)
    return recipe


def _file_problem(path: Path, message: str) -> RecipeError:
    return RecipeError([Problem(path="file", message=f"{path} {message}")], str(path))


def _apply_overrides(tables: dict[str, Any], overrides: Sequence[str]) -> list[Problem]:
    problems = []
    for override in overrides:
        path, equals, value_text = override.partition("=")
        *sections, field = path.strip().split(".")
        table: Any = tables
        for section in sections:
            table = table.setdefault(section, {}) if isinstance(table, dict) else None
        if not equals or not sections or not isinstance(table, dict):
            problems.append(Problem(path="--set", message=f"{override!r} is not section.field=value"))
            continue
        table[field] = _override_value(value_text.strip())
    return problems


def _override_value(text: str) -> Any:
    """The value as TOML would read it; anything else is taken as a plain string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _problems(error: ValidationError) -> list[Problem]:
    """One problem for each field, however many alternatives of a union it failed."""
    by_path: dict[str, list[Any]] = {}
    for detail in error.errors(include_url=False):
        location, _ = _split_location(detail["loc"])
        by_path.setdefault(_dotted(location), []).append(detail)
    return [Problem(path=path, message=_message(details)) for path, details in by_path.items()]


def _split_location(location: tuple[int | str, ...]) -> tuple[tuple[int | str, ...], FieldInfo | None]:
    """Cut off the names of union branches that pydantic appends, and find the field that the rest leads to."""
    model: type[BaseModel] | None = Recipe
    field: FieldInfo | None = None
    for depth, part in enumerate(location):
        if isinstance(part, int):
            continue
        if model is None:
            return location[:depth], field
        if part not in model.model_fields:
            return location[: depth + 1], None
        field = model.model_fields[part]
        model = _section_of(field)
    return location, field


def _section_of(field: FieldInfo) -> type[BaseModel] | None:
    candidates = (field.annotation, *get_args(field.annotation))
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)


def _dotted(location: Sequence[int | str]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "recipe"


def _message(details: list[Mapping[str, Any]]) -> str:
    first = details[0]
    location, field = _split_location(first["loc"])
    match first["type"]:
        case "extra_forbidden":
            return "no such field" + _did_you_mean(str(location[-1]), _field_names(location[:-1]))
        case "missing":
            return f"is required: {field.description}" if field is not None else "is required"
        case "value_error":
            return str(first["ctx"]["error"])
        case "model_type" | "model_attributes_type":
            return f"is {_shown(first['input'])}; a table is expected, written as [{_dotted(location)}]"
    # With several failed alternatives, bounds say more than types: 0 is "too small" before it is "not auto".
    allowed = sorted({_allowed(detail) for detail in details if "literal" not in detail["type"]})
    choices = sorted({choice for detail in details for choice in _choices(detail)})
    value = details[-1]["input"] if len(details) == 1 else first["input"]
    parts = [*allowed, *(f'"{choice}"' for choice in choices)]
    hint = _did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"is {_shown(value)}; allowed: {' or '.join(parts)}{hint}"


def _choices(detail: Mapping[str, Any]) -> list[str]:
    if detail["type"] != "literal_error":
        return []
    expected = str(detail["ctx"]["expected"])
    return [part.strip("' ") for part in expected.replace(" or ", ",").split(",") if part.strip()]


def _allowed(detail: Mapping[str, Any]) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "int_type" | "int_from_float" | "int_parsing":
            return "a whole number"
        case "float_type" | "float_parsing":
            return "a number"
        case "finite_number":
            return "a finite number"
        case "string_type":
            return "a text in quotes"
        case "bool_type":
            return "true or false"
        case "tuple_type":
            return "a list"
        case "dict_type":
            return "a table"
        case "greater_than_equal":
            return f"at least {context['ge']}"
        case "greater_than":
            return f"more than {context['gt']}"
        case "less_than_equal":
            return f"at most {context['le']}"
        case "less_than":
            return f"less than {context['lt']}"
        case "too_short" | "string_too_short":
            return "at least one entry" if detail["type"] == "too_short" else "a text that is not empty"
        case "string_pattern_mismatch":
            return "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64"
        case _:
            return str(detail["msg"])


def _field_names(location: Sequence[int | str]) -> list[str]:
    model: type[BaseModel] | None = Recipe
    for part in location:
        if isinstance(part, str) and model is not None:
            model = _section_of(model.model_fields[part])
    return list(model.model_fields) if model is not None else []


def _did_you_mean(typed: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(typed, known, n=1, cutoff=0.6)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known are {', '.join(known)}" if known and len(known) <= 12 else ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, default=str)
    return text if len(text) <= SHOWN_VALUE_LENGTH else text[: SHOWN_VALUE_LENGTH - 3] + "..."
