"""From a `Recipe` to TOML text that reads back as the same recipe."""

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit import TOMLDocument
from tomlkit.items import Table

from tui_tuner.recipe.sections import Recipe


def recipe_to_toml(recipe: Recipe, *, only_set: bool = True) -> str:
    """Write the fields that differ from their defaults, or all of them; fields that are None are left out."""
    values = recipe.model_dump(mode="json", exclude_defaults=only_set, exclude_none=True)
    return tomlkit.dumps(tables_to_toml(values))


def tables_to_toml(tables: Mapping[str, Any]) -> TOMLDocument:
    """The sections of a recipe, checked or not, as a TOML document; empty ones are left out."""
    document = tomlkit.document()
    for section, fields in tables.items():
        if fields:
            document[section] = _table(fields)
    return document


def _table(fields: dict[str, Any]) -> Table:
    table = tomlkit.table()
    for name, value in fields.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = tomlkit.aot()
            for row in value:
                rows.append(_row(row))
            table[name] = rows
        else:
            table[name] = value
    return table


def _row(fields: dict[str, Any]) -> Table:
    """An entry of an array of tables; its own tables stay on one line."""
    row = tomlkit.table()
    for name, value in fields.items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            row[name] = inline
        else:
            row[name] = value
    return row
