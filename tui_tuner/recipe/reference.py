"""docs/recipe.md: every section and field of a recipe, written from the declarations that check it."""

import json
from collections.abc import Iterator

from tui_tuner.recipe.schema import JsonSchema, allowed_words, alternatives, description_of, fields_of, recipe_schema

__all__ = ["recipe_reference", "recipe_schema"]

INTRODUCTION = """\
# Recipe reference

A recipe is a TOML file that says what a run shall do. Only `model.source` and one data source are required; everything
else has a default, and `"auto"` is an answer that the plan turns into a value and a reason (`tuner plan RECIPE`).

```toml
[model]
source = "HuggingFaceTB/SmolLM2-135M-Instruct"

[[data.sources]]
path = "train.jsonl"
```

Every field can be set from the command line as well: `tuner train recipe.toml --set adapter.rank=32`,
`--set 'data.sources[0].path=other.jsonl'`. Relative paths are taken from the current folder.

This page is written by `tuner schema --markdown`; `tuner schema` prints the JSON Schema for editors.
"""


def recipe_reference() -> str:
    """The whole page, as Markdown."""
    sections = [line for name, section in fields_of(recipe_schema()).items() for line in _section(name, section)]
    return "\n".join([INTRODUCTION, *sections]) + "\n"


def _section(name: str, section: JsonSchema, header: str = "") -> Iterator[str]:
    tables = []
    yield f"## `{header or f'[{name}]'}`\n"
    yield f"{description_of(section)}\n"
    for field_name, field in fields_of(section).items():
        yield from _field(f"{name}.{field_name}", field)
        rows = _row_schema(field)
        if rows is not None and not field.get("default"):
            tables.append((f"{name}.{field_name}", rows, field["description"]))
    # Sources of both kinds have the same fields; the first one shows them.
    for path, rows, description in tables[:1]:
        yield from _section(path, {**rows, "description": description}, header=f"[[{path}]]")


def _field(path: str, field: JsonSchema) -> Iterator[str]:
    name = path.rsplit(".", 1)[-1]
    yield f"### `{name}`\n"
    yield f"**{field['title']}.** {description_of(field)}\n"
    yield f"- Takes: {allowed_words(field)}"
    yield f"- Default: {_default(field)}"
    yield f"- Example: {_example(path, field)}\n"


def _default(field: JsonSchema) -> str:
    if "default" not in field:
        return "none, it is required"
    return f"`{toml_value(field['default'])}`" if field["default"] is not None else "not set"


def _example(path: str, field: JsonSchema) -> str:
    value = field["examples"][0] if "examples" in field else field["default"]
    if _row_schema(field) is not None:
        first = next(iter(value[0].items()))
        return f"`[[{path}]]` and, on the next line, `{first[0]} = {toml_value(first[1])}`"
    return f"`{path.rsplit('.', 1)[-1]} = {toml_value(value)}`"


def _row_schema(field: JsonSchema) -> JsonSchema | None:
    """The section that each entry of an array of tables is; None for any other field."""
    for kind in alternatives(field):
        if "$ref" in kind.get("items", {}):
            return dict(kind["items"])
    return None


def toml_value(value: object) -> str:
    """A value as TOML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {toml_value(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml_value(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
