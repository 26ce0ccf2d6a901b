"""The recipe as lines of a form: one for each field of each section, read from the recipe's own declaration."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tui_tuner.plan import RunPlan
from tui_tuner.recipe.schema import JsonSchema, alternatives, description_of, fields_of, schema_at
from tui_tuner.screens.draft import Draft, Path
from tui_tuner.screens.outlook import Outlook

ORDER = ("training", "optimizer", "data", "objective", "acceleration", "adapter", "model", "output", "export")


@dataclass(frozen=True, slots=True, kw_only=True)
class FormRow:
    """A field, or the head of a section where `schema` is None."""

    path: Path
    title: str
    schema: JsonSchema | None = None
    value: Any = None
    is_set: bool = False
    """Whether it says something else than its default."""
    planned: str = ""
    """What the plan makes of an "auto"."""
    reason: str = ""
    """Why the plan takes it; of a head, what its section is about."""
    problem: str = ""

    @property
    def is_head(self) -> bool:
        return self.schema is None

    @property
    def dotted(self) -> str:
        """The path as it is written: "data.sources[0].path"."""
        return dotted(self.path)


def dotted(path: Path) -> str:
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f".{part}" if words else part
    return words


def form_rows(outlook: Outlook) -> tuple[FormRow, ...]:
    """Every line, in the order of `ORDER`; a section that is not named there comes last."""
    sections = fields_of(schema_at(()) or {})
    names = [name for name in ORDER if name in sections] + [name for name in sections if name not in ORDER]
    return tuple(row for name in names for row in _section(name, sections[name], outlook))


def _section(name: str, schema: JsonSchema, outlook: Outlook) -> Iterator[FormRow]:
    problem = outlook.problem_at(name)
    yield FormRow(path=(name,), title=str(schema["title"]), reason=description_of(schema), problem=problem)
    for field, field_schema in fields_of(schema).items():
        path: Path = (name, field)
        yield _field(path, field_schema, outlook)
        yield from _entries(path, field_schema, outlook)


def _entries(path: Path, schema: JsonSchema, outlook: Outlook) -> Iterator[FormRow]:
    """The fields of each table in a list of tables."""
    if not is_list_of_tables(schema):
        return
    entries = outlook.draft.get(*path)
    for number in range(len(entries) if isinstance(entries, list) else 0):
        entry = schema_at((*path, number)) or {}
        for field, field_schema in fields_of(entry).items():
            yield _field((*path, number, field), field_schema, outlook)


def _field(path: Path, schema: JsonSchema, outlook: Outlook) -> FormRow:
    name = dotted(path)
    planned, reason = _decision(name, outlook.plan)
    title = str(schema.get("title", path[-1]))
    place = next((part for part in path if isinstance(part, int)), None)
    return FormRow(
        path=path,
        title=title if place is None else f"{place + 1}: {title}",
        schema=schema,
        value=outlook.draft.get(*path),
        is_set=is_set(outlook.draft, path),
        planned=planned,
        reason=reason,
        problem=outlook.problem_at(name),
    )


def is_set(draft: Draft, path: Path) -> bool:
    value = draft.get(*path)
    return draft.is_set(*path) and value not in (None, "", [], {})


def _decision(name: str, plan: RunPlan | None) -> tuple[str, str]:
    found = next((one for one in plan.decisions if one.field == name), None) if plan is not None else None
    return (found.value, found.reason) if found is not None else ("", "")


def is_list_of_tables(schema: JsonSchema) -> bool:
    items = [one["items"] for one in alternatives(schema) if "items" in one]
    return any("$ref" in one or one.get("type") == "object" for one in items)
