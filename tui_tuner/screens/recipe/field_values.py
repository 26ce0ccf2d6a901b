"""Values of the form: as words, as the text that is edited, from that text, and one step up or down."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tomlkit

from tui_tuner.recipe.schema import JsonSchema, allowed_words, alternatives, choices_of
from tui_tuner.screens.draft import Draft, Path
from tui_tuner.screens.recipe.form_rows import FormRow, dotted, is_list_of_tables
from tui_tuner.units import rate

DOUBLING = ("micro_batch_size", "gradient_accumulation", "rank", "max_length", "tokens_per_step", "alpha")
"""Fields that are turned by factors of two."""
FLOAT_STEPS = {"dropout": 0.05, "evaluation_fraction": 0.01, "epochs": 1.0, "vram": 1.0, "weight": 0.5}
LADDER = (1.0, 2.0, 5.0)
YES, NO = ("true", "yes", "on"), ("false", "no", "off")
# Two fields that say the same thing in two ways: setting one takes the other out.
RIVALS: Mapping[Path, Path] = {
    ("training", "epochs"): ("training", "max_steps"),
    ("training", "max_steps"): ("training", "epochs"),
    ("training", "gradient_accumulation"): ("training", "tokens_per_step"),
    ("training", "tokens_per_step"): ("training", "gradient_accumulation"),
}


def with_field(draft: Draft, path: Path, value: Any) -> Draft:
    """The draft with a field set, and its rival out of the way."""
    rival = RIVALS.get(path)
    if rival is not None and value not in ("auto", None):
        draft = draft.without(*rival)
    return draft.with_value(value, *path)


def problem_of(draft: Draft, path: Path) -> str:
    """What is wrong with a field or with its section, as far as the recipe alone can say."""
    _, problems = draft.preview
    names = (dotted(path), dotted(path[:1]))
    return next((one.message for one in problems if one.path.startswith(names[0]) or one.path == names[1]), "")


def value_words(value: Any, schema: JsonSchema | None = None) -> str:
    """A value as the form shows it."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number_words(value, schema)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {one}" for name, one in value.items()) or "as detected"
    return _list_words(value) if isinstance(value, list | tuple) else str(value)


def _number_words(value: float, schema: JsonSchema | None) -> str:
    if isinstance(value, float):
        return rate(value) if 0 < abs(value) < 0.01 else f"{value:g}"
    return str(value) if _is_seed(schema) else f"{value:,}"


def _list_words(values: Sequence[Any]) -> str:
    """The entries; of tables their paths."""
    return ", ".join(str(one.get("path", "?")) if isinstance(one, Mapping) else str(one) for one in values) or "none"


def is_pick(schema: JsonSchema) -> bool:
    """Whether a field only takes fixed words, or yes and no."""
    return all("enum" in one or "const" in one or one.get("type") == "boolean" for one in alternatives(schema))


def picks(schema: JsonSchema) -> tuple[Any, ...]:
    """The values that such a field takes."""
    bools = any(one.get("type") == "boolean" for one in alternatives(schema))
    return (*choices_of(schema), *((True, False) if bools else ()))


def edit_text(value: Any) -> str:
    """A value as it is typed."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        if value and isinstance(value[0], Mapping):
            return ", ".join(str(one.get("path", "")) for one in value)
        if any("," in str(one) for one in value):
            return str(tomlkit.item(list(value)).as_string())
        return ", ".join(map(str, value))
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update(dict(value))
        return table.as_string()
    return value_words(value).replace(",", "") if isinstance(value, int | float) else str(value)


def parse(text: str, schema: JsonSchema, before: Any = None) -> Any:
    """The value that a text means for a field.

    Raises:
        ValueError: it means none; the message says what the field takes.
    """
    text = text.strip()
    if text in choices_of(schema):
        return text
    if not text and schema.get("default", ...) is None:
        return None
    if is_list_of_tables(schema):
        return _tables(text, before)
    for one in alternatives(schema):
        reader = _READERS.get(str(one.get("type")))
        if reader is None or "const" in one or "enum" in one:
            continue
        try:
            return reader(text)
        except ValueError:
            continue
    raise ValueError(f"takes {allowed_words(schema)}")


def nudged(row: FormRow, direction: int) -> Any:
    """The value one step further, from the planned one where the field is "auto"; the same where there is none."""
    assert row.schema is not None
    if is_pick(row.schema):
        return _next_pick(row.value, picks(row.schema), direction)
    kind = next((one for one in alternatives(row.schema) if one.get("type") in ("integer", "number")), None)
    start = row.value if isinstance(row.value, int | float) else _number(row.planned)
    if kind is None or start is None:
        return row.value
    name = str(row.path[-1])
    stepped = _whole_step(name, int(start), direction) if kind["type"] == "integer" else _step(name, start, direction)
    return _within(stepped, kind, start)


def _next_pick(value: Any, choices: Sequence[Any], direction: int) -> Any:
    place = choices.index(value) if value in choices else 0
    return choices[(place + direction) % len(choices)]


def _whole_step(name: str, value: int, direction: int) -> int:
    if name in DOUBLING:
        return value * 2 if direction > 0 else value // 2
    size = 1 if value < 20 else 5 if value < 100 else 10 ** (len(str(value)) - 2)
    return value + direction * size


def _step(name: str, value: float, direction: int) -> float:
    if name in DOUBLING:
        return value * 2 if direction > 0 else value / 2
    if name in FLOAT_STEPS:
        return round(value + direction * FLOAT_STEPS[name], 6)
    if name.startswith("beta"):
        return round(value + direction * (0.01 if value < 0.99 else 0.001), 6)
    return _rung(value, direction)


def _rung(value: float, direction: int) -> float:
    """The next of 1, 2, 5, 10, 20 … in the decade of the value."""
    if value <= 0:
        return 1e-4 if direction > 0 else value
    exponent = int(f"{value:e}".partition("e")[2])
    ladder = [float(f"{one:g}e{decade}") for decade in range(exponent - 1, exponent + 2) for one in LADDER]
    if direction > 0:
        return next(one for one in ladder if one > value * 1.0001)
    return next(one for one in reversed(ladder) if one < value * 0.9999)


def _within(value: float, kind: JsonSchema, start: float) -> float:
    is_whole = kind["type"] == "integer"
    low, high = kind.get("minimum"), kind.get("maximum")
    if low is not None and value < low:
        value = low
    if high is not None and value > high:
        value = high
    is_beyond = value <= kind.get("exclusiveMinimum", -1e308) or value >= kind.get("exclusiveMaximum", 1e308)
    value = start if is_beyond else value
    return int(value) if is_whole else float(value)


def _number(text: str) -> float | None:
    try:
        return float(text.replace(",", "").split()[0]) if text else None
    except ValueError:
        return None


def _is_seed(schema: JsonSchema | None) -> bool:
    return schema is not None and "seed" in str(schema.get("title", "")).lower()


def _tables(text: str, before: Any) -> list[dict[str, Any]]:
    """A path for each table; what the tables of the same path held is kept."""
    held = {one.get("path"): one for one in before or () if isinstance(one, Mapping)}
    paths = [one.strip() for one in text.split(",") if one.strip()]
    return [dict(held.get(path, {"path": path})) for path in paths]


def _boolean(text: str) -> bool:
    if text.lower() in YES:
        return True
    if text.lower() in NO:
        return False
    raise ValueError(text)


def _list(text: str) -> list[Any]:
    if text.startswith("["):
        return list(_toml(text))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) if part.isdigit() else part for part in parts]


def _table(text: str) -> dict[str, Any]:
    return dict(_toml(text if text.startswith("{") else f"{{{text}}}"))


def _toml(text: str) -> Any:
    return tomllib.loads(f"value = {text}")["value"]


def _whole(text: str) -> int:
    return int(text.replace(",", "").replace("_", ""))


def _real(text: str) -> float:
    return float(text.replace(",", ""))


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


_READERS: Mapping[str, Callable[[str], Any]] = {
    "integer": _whole,
    "number": _real,
    "boolean": _boolean,
    "array": _list,
    "object": _table,
    "string": _text,
}
