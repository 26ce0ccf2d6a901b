"""Changes of the draft that the Data station makes, as values: each gives a new draft, and each can be undone."""

from collections.abc import Mapping
from dataclasses import dataclass

from tui_tuner.data.formats import FIELDS
from tui_tuner.recipe.sections import RowShape
from tui_tuner.screens.draft import Draft

SHAPES: tuple[RowShape, ...] = tuple(FIELDS)
SHAPE_WORDS: Mapping[str, str] = {
    "auto": "told by the columns",
    "messages": 'a list of turns with "role" and "content"',
    "sharegpt": 'a list of turns with "from" and "value"',
    "alpaca": "instruction, input, output",
    "prompt_completion": "a prompt and its completion",
    "text": "plain text, trained from first to last token",
    "preference": "a chosen and a rejected answer; the chosen one is trained",
    "tree": "a message with replies",
}
LISTS = ("sources", "evaluation_sources")


@dataclass(frozen=True, slots=True)
class Place:
    """One source of the draft: a list and a number in it."""

    group: str
    number: int

    @property
    def path(self) -> tuple[str | int, ...]:
        return "data", self.group, self.number


def places(draft: Draft) -> tuple[Place, ...]:
    """All sources, held-out ones last."""
    return tuple(Place(group, number) for group in LISTS for number in range(len(draft.get("data", group) or ())))


def with_source(draft: Draft, path: str, group: str = "sources") -> Draft:
    """One source more."""
    sources = [*(draft.get("data", group) or ()), {"path": path}]
    return draft.with_value(sources, "data", group)


def with_path(draft: Draft, place: Place, path: str) -> Draft:
    """Another file in the place of a source; what was said of the columns of the old one goes."""
    sources = list(draft.get("data", place.group))
    kept = {name: value for name, value in sources[place.number].items() if name == "weight"}
    sources[place.number] = {**kept, "path": path}
    return draft.with_value(sources, "data", place.group)


def without_source(draft: Draft, place: Place) -> Draft:
    return draft.without(*place.path)


def with_field(draft: Draft, place: Place, name: str, value: object) -> Draft:
    """One field of a source; None takes it out."""
    sources = [dict(one) for one in draft.get("data", place.group)]
    sources[place.number].pop(name, None)
    if value is not None:
        sources[place.number][name] = value
    return draft.with_value(sources, "data", place.group)


def with_column(draft: Draft, place: Place, field: str, column: str | None) -> Draft:
    """Say which column stands for a field; None leaves it to be found."""
    columns = dict(draft.get(*place.path).get("columns") or {})
    columns.pop(field, None)
    if column is not None:
        columns[field] = column
    return with_field(draft, place, "columns", columns or None)


def fields_of(shape: str) -> tuple[str, ...]:
    """Fields that a column can be named for."""
    return tuple(field for field in FIELDS.get(shape, {}) if field != "tree")  # type: ignore[call-overload]


def all_fields() -> tuple[str, ...]:
    """Fields of any shape."""
    return tuple(dict.fromkeys(field for shape in SHAPES for field in fields_of(shape)))
