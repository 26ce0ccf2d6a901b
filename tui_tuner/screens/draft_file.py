"""Keeps the draft on disk between sessions, as a TOML file that `tuner train` would take too."""

import tomllib
from pathlib import Path
from typing import Any

import tomlkit

from tui_tuner.errors import MachineError, Problem, RecipeError
from tui_tuner.recipe.writing import tables_to_toml
from tui_tuner.screens.draft import Draft

DRAFT_NAME = "draft.toml"
MAX_BYTES = 1_000_000


def load_draft(path: Path) -> Draft:
    """A draft or a recipe from its file; nothing is checked but that it is TOML.

    Raises:
        RecipeError: it is not TOML, not UTF-8, or far too large.
        MachineError: it cannot be read.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise RecipeError([Problem(path="file", message=f"is larger than {MAX_BYTES:,} bytes")], str(path))
        tables: dict[str, Any] = tomllib.loads(raw.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError([Problem(path="file", message=f"is not valid TOML: {error}")], str(path)) from error
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}.") from error
    return Draft({name: table for name, table in tables.items() if isinstance(table, dict)}, path.name)


def save_draft(draft: Draft, path: Path) -> None:
    """Replace the file in one move; an empty draft is an empty file.

    Raises:
        MachineError: the folder cannot be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh.write_text(draft_toml(draft), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        hint = "What you typed stays in the app; free some space or mend the permissions."
        raise MachineError(f"{path} cannot be written: {error.strerror}.", hint) from error


def draft_toml(draft: Draft) -> str:
    """The TOML of a draft, complete or not."""
    return tomlkit.dumps(tables_to_toml(draft.tables))
