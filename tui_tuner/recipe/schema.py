"""The JSON Schema of a recipe, for editors, and what a field allows in words, for messages and docs."""

import copy
import functools
from collections.abc import Sequence
from typing import Any

from tui_tuner.recipe.sections import Recipe

JsonSchema = dict[str, Any]
NAME_PATTERN_WORDS = "letters, digits, '.', '_' and '-', starting with a letter or digit, at most 64"


def recipe_schema() -> JsonSchema:
    """JSON Schema (2020-12) of a recipe file, with a title, a description and a default for every field."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **copy.deepcopy(_schema()),
        "title": "tuner recipe",
    }


def fields_of(schema: JsonSchema) -> dict[str, JsonSchema]:
    """The fields of a section, or of the whole recipe, by name."""
    fields: dict[str, JsonSchema] = _resolved(schema).get("properties", {})
    return fields


def description_of(schema: JsonSchema) -> str:
    """The help of a field or section. pydantic states it once where a section says the same of itself."""
    text: str = {**_resolved(schema), **schema}["description"]
    return text


def schema_at(path: Sequence[int | str]) -> JsonSchema | None:
    """What stands at a path such as ("data", "sources", 0, "path"); None where there is no such field."""
    schema: JsonSchema | None = _schema()
    for part in path:
        if schema is None:
            return None
        if isinstance(part, int):
            schema = next((one["items"] for one in alternatives(schema) if "items" in one), None)
        else:
            schema = fields_of(schema).get(part)
    return schema


def alternatives(schema: JsonSchema) -> list[JsonSchema]:
    """The kinds of value that a field takes; "null" is left out, for TOML has none."""
    kinds = [_resolved(one) for one in schema.get("anyOf", [schema])]
    return [one for one in kinds if one.get("type") != "null"]


def choices_of(schema: JsonSchema) -> tuple[str, ...]:
    """The fixed words that a field takes."""
    kinds = alternatives(schema)
    return tuple(word for one in kinds for word in (*one.get("enum", ()), *([one["const"]] if "const" in one else ())))


def allowed_words(schema: JsonSchema) -> str:
    """What a field allows, in words: 'a whole number from 1 to 1024 or "auto"'."""
    free = [_kind_words(one) for one in alternatives(schema) if "const" not in one and "enum" not in one]
    parts = [*free, *(f'"{word}"' for word in choices_of(schema))]
    return " or ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]


@functools.cache
def _schema() -> JsonSchema:
    return Recipe.model_json_schema()


def _resolved(schema: JsonSchema) -> JsonSchema:
    if "$ref" not in schema:
        return schema
    section: JsonSchema = _schema()["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
    return section


def _kind_words(kind: JsonSchema) -> str:
    match kind.get("type"):
        case "integer":
            return "a whole number" + _bounds(kind)
        case "number":
            return "a number" + _bounds(kind)
        case "boolean":
            return "true or false"
        case "array":
            return f"a list of {'one or more ' if kind.get('minItems') else ''}{_items_words(_resolved(kind['items']))}"
        case "object":
            return "a table" if "properties" in kind else "a table of texts in quotes"
    return "a text in quotes" + _text_bounds(kind)


def _text_bounds(kind: JsonSchema) -> str:
    if "pattern" in kind:
        return f" ({NAME_PATTERN_WORDS})"
    return " that is not empty" if kind.get("minLength") else ""


def _items_words(items: JsonSchema) -> str:
    plural = {"string": "texts in quotes", "integer": "whole numbers" + _bounds(items), "object": "tables"}
    return plural[items["type"]]


def _bounds(kind: JsonSchema) -> str:
    starts_at = "minimum" in kind
    words = [f"from {_number(kind['minimum'])}"] if starts_at else []
    words += [f"above {kind['exclusiveMinimum']:g}"] if "exclusiveMinimum" in kind else []
    words += (
        [f"{'to ' if starts_at else 'and '}below {kind['exclusiveMaximum']:g}"] if "exclusiveMaximum" in kind else []
    )
    words += [f"{'to' if starts_at else 'and at most'} {_number(kind['maximum'])}"] if "maximum" in kind else []
    return "".join(f" {word}" for word in words)


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,g}"
