"""What a row of a data set looks like: detection of the shape, and conversion of each row.

The recipe's own words (`shape`, `columns`) win over what is detected. A row that does not fit is never repaired.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tui_tuner.data.rows import BadRow, Sample, SourceRow
from tui_tuner.data.shapes.conversations import (
    alpaca_conversation,
    prompt_conversation,
    text_document,
    turns_conversation,
)
from tui_tuner.data.shapes.messages import RowFault, as_turn_list
from tui_tuner.data.shapes.preferences import preference_pair
from tui_tuner.data.shapes.trees import is_tree_node, tree_conversation
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSource
from tui_tuner.recipe.sections import RowShape

TURN_LISTS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns")
PROMPTS = ("prompt", "question", "query", "problem", "user", "instruction", "input")
SYSTEMS = ("system", "system_prompt")
TOOLS = ("tools", "functions")

FIELDS: dict[RowShape, dict[str, tuple[str, ...]]] = {
    "messages": {"messages": TURN_LISTS, "system": SYSTEMS, "tools": TOOLS},
    "sharegpt": {"messages": ("conversations", *TURN_LISTS), "system": SYSTEMS, "tools": TOOLS},
    "alpaca": {
        "instruction": ("instruction",),
        "output": ("output", "response", "completion", "answer"),
        "input": ("input", "context"),
        "system": SYSTEMS,
        "history": ("history",),
    },
    "prompt_completion": {
        "prompt": PROMPTS,
        "completion": ("completion", "answer", "response", "output", "solution", "target", "assistant"),
        "system": SYSTEMS,
        "tools": TOOLS,
    },
    "text": {"text": ("text", "content", "document", "body")},
    "preference": {
        "chosen": ("chosen",),
        "rejected": ("rejected",),
        "prompt": (*PROMPTS, *TURN_LISTS),
        "system": SYSTEMS,
    },
    "tree": {"tree": ("prompt",)},
}
"""Fields of each shape, and the columns under which they are looked for, the likeliest first."""
REQUIRED: dict[RowShape, tuple[str, ...]] = {
    "messages": ("messages",),
    "sharegpt": ("messages",),
    "alpaca": ("instruction", "output"),
    "prompt_completion": ("prompt", "completion"),
    "text": ("text",),
    "preference": ("chosen", "rejected"),
    "tree": (),
}
CONVERTERS: dict[RowShape, Callable[[SourceRow, Mapping[str, str]], Sample]] = {
    "messages": turns_conversation,
    "sharegpt": turns_conversation,
    "alpaca": alpaca_conversation,
    "prompt_completion": prompt_conversation,
    "text": text_document,
    "preference": preference_pair,
    "tree": tree_conversation,
}
NAMED_SHAPES: tuple[RowShape, ...] = ("alpaca", "prompt_completion", "text")
"""Shapes told by their column names alone, the most particular first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectedShape:
    """How the rows of a source are read, and how that was found out."""

    shape: RowShape
    reason: str
    columns: Mapping[str, str]
    """From field to the column that holds it."""


def detect_shape(rows: Sequence[SourceRow], source: DataSource) -> DetectedShape:
    """Find the shape from the first rows of a source.

    Raises:
        DataError: no shape fits, or the recipe names a field or column that is not there.
    """
    keys = tuple(dict.fromkeys(key for row in rows for key in row.fields))
    _check_columns(source, keys)
    shape = source.shape if source.shape != "auto" else _shape_of_columns(source.columns, rows)
    reason = "as the recipe says" if source.shape != "auto" else "from the columns that the recipe names"
    if shape is None:
        shape, reason = _guess(rows, keys, source)
    columns = _resolve(shape, keys, source.columns, rows)
    missing = [field for field in REQUIRED[shape] if field not in columns]
    if missing:
        raise _no_column(source, shape, missing[0], keys)
    return DetectedShape(shape=shape, reason=reason, columns=columns)


def convert_row(row: SourceRow, detected: DetectedShape) -> Sample | BadRow:
    """Read one row in the shape of its source."""
    try:
        return CONVERTERS[detected.shape](row, detected.columns)
    except RowFault as fault:
        return BadRow(ref=row.ref, reason=str(fault))


def _check_columns(source: DataSource, keys: Sequence[str]) -> None:
    known = sorted({field for fields in FIELDS.values() for field in fields} - {"tree"})
    for field, column in source.columns.items():
        if field not in known:
            raise DataError(f'data.sources: columns names the unknown field "{field}".', _nearest(field, known))
        if column not in keys:
            message = f'{source.path} has no column "{column}", which the recipe names for {field}.'
            raise DataError(message, _nearest(column, keys))


def _shape_of_columns(columns: Mapping[str, str], rows: Sequence[SourceRow]) -> RowShape | None:
    """The shape that the named fields belong to; None where they fit several."""
    if "messages" in columns:
        return _turn_shape(rows, columns["messages"]) or "messages"
    marks: dict[str, RowShape] = {"rejected": "preference", "chosen": "preference", "text": "text"}
    marks |= {
        "instruction": "alpaca",
        "output": "alpaca",
        "prompt": "prompt_completion",
        "completion": "prompt_completion",
    }
    return next((shape for field, shape in marks.items() if field in columns), None)


def _guess(rows: Sequence[SourceRow], keys: Sequence[str], source: DataSource) -> tuple[RowShape, str]:
    if any(is_tree_node(row.fields) or is_tree_node(row.fields.get("prompt")) for row in rows):
        return "tree", 'a message with "replies"'
    if {"chosen", "rejected"} <= set(keys):
        return "preference", 'has "chosen" and "rejected"'
    for column in TURN_LISTS:
        shape = _turn_shape(rows, column)
        if shape is not None:
            return shape, f'"{column}" lists turns with "{"from" if shape == "sharegpt" else "role"}"'
    for shape in NAMED_SHAPES:
        columns = _resolve(shape, keys, source.columns, rows)
        if all(field in columns for field in REQUIRED[shape]):
            return shape, "has " + " and ".join(f'"{columns[field]}"' for field in REQUIRED[shape])
    raise _unknown_shape(source, keys)


def _turn_shape(rows: Sequence[SourceRow], column: str) -> RowShape | None:
    """Told by the first row that has turns there; rows before it may be faulty."""
    turns = next((found for row in rows if (found := as_turn_list(row.fields.get(column)))), None)
    if not turns:
        return None
    return "messages" if "role" in turns[0] else "sharegpt"


def _resolve(
    shape: RowShape, keys: Sequence[str], named: Mapping[str, str], rows: Sequence[SourceRow]
) -> dict[str, str]:
    """The column of each field of a shape: the recipe's, else the first known name that no other field has taken."""
    columns = {field: column for field, column in named.items() if field in FIELDS[shape]}
    for field, names in FIELDS[shape].items():
        free = [name for name in names if name in keys and name not in columns.values()]
        if field == "messages":
            free = [name for name in free if any(as_turn_list(row.fields.get(name)) for row in rows)] or free
        if field == "tree":
            free = [name for name in free if any(is_tree_node(row.fields.get(name)) for row in rows)]
        if field not in columns and free:
            columns[field] = free[0]
    return columns


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(known[:20])}."


def _no_column(source: DataSource, shape: RowShape, field: str, keys: Sequence[str]) -> DataError:
    message = f'{source.path} has no column for "{field}", which the shape {shape} needs; it has {", ".join(keys)}.'
    return DataError(message, f'Write columns = {{{field} = "NAME"}} in this source.')


def _unknown_shape(source: DataSource, keys: Sequence[str]) -> DataError:
    message = f"{source.path} fits no known shape; its columns are {', '.join(keys) or 'none'}."
    hint = 'Say which column is what, such as columns = {prompt = "...", completion = "..."} or {text = "..."}.'
    return DataError(message, hint)
