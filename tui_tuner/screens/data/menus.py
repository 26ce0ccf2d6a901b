"""The questions of the Data station: sources with shape and columns, template, held-out rows, fixes.

Each asks with dialogs, and answers with a changed draft; None changes nothing.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from rich.text import Text

from tui_tuner.data.looking.columns import Column, source_columns
from tui_tuner.errors import DataError
from tui_tuner.places import is_folder, path_of
from tui_tuner.plan import SourceFacts
from tui_tuner.recipe import DataSource
from tui_tuner.safe_text import one_line
from tui_tuner.screens.data import edits
from tui_tuner.screens.data.edits import Place
from tui_tuner.screens.data.file_picker import FilePicker
from tui_tuner.screens.data.fixes import Fix
from tui_tuner.screens.data.words import source_words
from tui_tuner.screens.dialogs.pick import Pick
from tui_tuner.screens.dialogs.text_prompt import TextPrompt
from tui_tuner.screens.draft import Draft

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

COLUMNS = 2
"""The line of a source that is about its columns."""
SHARES = (("auto", "5 %, at least 1 and at most 200 rows"), (0.01, "1 %"), (0.1, "10 %"), (0.2, "20 %"))
TEMPLATES = (
    ("auto", "the model's own", "As the model was made to be used; plain where it has none."),
    ("plain", "plain", "Headings in plain text, needs no special tokens: for base models."),
    ("chatml", "chatml", "<|im_start|> and <|im_end|>, which the tokenizer must have."),
)


def start_folder(draft: Draft) -> Path:
    """Where a picker opens: beside the data that is chosen, or where tuner was started."""
    sources = draft.get("data", "sources") or []
    folder = path_of(str(sources[0].get("path", ""))).parent if sources else Path.cwd()
    return folder if is_folder(folder) else Path.cwd()


async def ask_file(app: "TunerApp", title: str, draft: Draft) -> str | None:
    return await app.push_screen_wait(FilePicker(title, start_folder(draft)))


async def ask_sources(app: "TunerApp") -> "tuple[Place | None, Draft | None]":
    """A source to change, or a draft with one more."""
    draft = app.draft
    places = edits.places(draft)
    lines, notes = [], []
    for place in places:
        source, fact = draft.get(*place.path), _facts_of(app, place)
        kind = "" if place.group == "sources" else "held out: "
        rows = f"  {fact.num_rows:,} rows" if fact else ""
        lines.append(_line(f"{kind}{source_words(source, fact)}{rows}"))
        notes.append(f"{source.get('path')}" + (f"\nshape: {fact.shape}, for it {fact.shape_reason}" if fact else ""))
    lines += [_line("+ more training data…"), _line("+ held-out data…")]
    notes += ["Rows of all sources are trained together; each can have a weight.", "Evaluated on, never trained on."]
    chosen = await app.push_screen_wait(Pick("Data", lines, 0, notes)) if places else 0
    if chosen is None:
        return None, None
    if places and chosen < len(places):
        return places[chosen], None
    group = "sources" if chosen <= len(places) else "evaluation_sources"
    path = await ask_file(app, "Training data" if group == "sources" else "Held-out data", draft)
    return None, edits.with_source(draft, path, group) if path else None


async def ask_about_source(app: "TunerApp", place: Place) -> Draft | None:
    """What to change of one source."""
    draft = app.draft
    source, fact = draft.get(*place.path), _facts_of(app, place)
    columns = await asyncio.to_thread(_columns, str(source.get("path")))
    shape, weight, split = source.get("shape", "auto"), source.get("weight", 1.0), source.get("split", "train")
    found = ", ".join(f"{field} = {column}" for field, column in (fact.columns if fact else {}).items())
    named = ", ".join(f"{field} = {column}" for field, column in (source.get("columns") or {}).items())
    lines = [
        _line("another file…"),
        _line(f"shape      {shape}{f': {fact.shape}' if fact and shape == 'auto' else ''}"),
        _line(f"columns    {named or f'found: {found}' if found or named else 'found by their names'}"),
        _line(f"weight     {weight:g}"),
        _line(f"split      {split}"),
        _line("remove this source"),
    ]
    has = ", ".join(one.name for one in columns) or "unknown"
    notes = [
        str(source.get("path")),
        f"What a row looks like: {fact.shape_reason}." if fact else "What a row looks like: told by the columns.",
        f"The file's columns: {has}.",
        "How often each row is seen per epoch.",
        "Which split of a folder or a hub data set is read.",
        "The file stays; u brings the source back.",
    ]
    title = PurePath(str(source.get("path"))).name
    chosen = await app.push_screen_wait(Pick(one_line(title, 60), lines, 0, notes))
    if chosen is None:
        return None
    if chosen == len(lines) - 1:
        return edits.without_source(draft, place)
    if chosen == COLUMNS:
        return await _ask_column(app, draft, place, columns)
    return await QUESTIONS[chosen](app, draft, place)


async def ask_template(app: "TunerApp") -> Draft | None:
    draft = app.draft
    asked = str(draft.get("data", "chat_template"))
    names = [value for value, _, _ in TEMPLATES]
    lines = [_line(title) for _, title, _ in TEMPLATES] + [_line("a .jinja file…")]
    notes = [note for _, _, note in TEMPLATES] + [asked if asked not in names else "A Jinja template of your own."]
    at = names.index(asked) if asked in names else len(names)
    chosen = await app.push_screen_wait(Pick("Chat template", lines, at, notes))
    if chosen is None:
        return None
    if chosen < len(names):
        return draft.with_value(names[chosen], "data", "chat_template")
    path = await app.push_screen_wait(FilePicker("Chat template", start_folder(draft), (".jinja", ".jinja2", ".j2")))
    return draft.with_value(path, "data", "chat_template") if path else None


async def ask_held_out(app: "TunerApp") -> Draft | None:
    """A share of the rows, a file, or nothing. A share takes the place of held-out files, and the other way round."""
    draft = app.draft
    lines = [_line(f"{words} of the rows" if value != "auto" else words) for value, words in SHARES]
    lines += [_line("another share…"), _line("a file of its own…"), _line("nothing: train on every row")]
    notes = [""] * len(SHARES) + [
        "In per cent.",
        "Rows that are never trained on, with a shape of their own.",
        "There is then no held-out loss: whether the run overfits cannot be seen.",
    ]
    values = [value for value, _ in SHARES]
    share = draft.get("data", "evaluation_fraction")
    at = values.index(share) if share in values else len(values)
    chosen = await app.push_screen_wait(Pick("Held-out rows", lines, at, notes))
    if chosen is None:
        return None
    without = draft.without("data", "evaluation_sources")
    if chosen < len(values):
        return without.with_value(values[chosen], "data", "evaluation_fraction")
    if chosen == len(values):
        text = await app.push_screen_wait(TextPrompt("Held-out share in per cent", "5", "", share_problem))
        return without.with_value(float(text) / 100, "data", "evaluation_fraction") if text else None
    if chosen == len(values) + 1:
        path = await ask_file(app, "Held-out data", draft)
        return without.with_value([{"path": path}], "data", "evaluation_sources") if path else None
    return without.with_value(0.0, "data", "evaluation_fraction")


async def ask_fix(app: "TunerApp", found: Sequence[Fix]) -> Fix | None:
    chosen = await app.push_screen_wait(
        Pick("Fix", [_line(one.title) for one in found], 0, [one.note for one in found])
    )
    return None if chosen is None else found[chosen]


def share_problem(text: str) -> str:
    """What is wrong with a share in per cent; empty where nothing is."""
    try:
        return "" if 0 <= float(text) < 100 else "between 0 and 100"
    except ValueError:
        return "a number, such as 2.5"


def weight_problem(text: str) -> str:
    try:
        return "" if 0 < float(text) <= 1000 else "above 0, at most 1,000"
    except ValueError:
        return "a number, such as 0.5"


async def _ask_shape(app: "TunerApp", draft: Draft, place: Place) -> Draft | None:
    shapes = ("auto", *edits.SHAPES)
    present = draft.get(*place.path).get("shape", "auto")
    lines = [_line(one) for one in shapes]
    notes = [edits.SHAPE_WORDS[one] for one in shapes]
    chosen = await app.push_screen_wait(Pick("Shape of a row", lines, shapes.index(present), notes))
    if chosen is None:
        return None
    return edits.with_field(draft, place, "shape", shapes[chosen] if chosen else None)


async def _ask_column(app: "TunerApp", draft: Draft, place: Place, columns: Sequence[Column]) -> Draft | None:
    """One field, then the column that stands for it."""
    source = draft.get(*place.path)
    named = source.get("columns") or {}
    fact = _facts_of(app, place)
    fields = edits.fields_of(fact.shape if fact else str(source.get("shape", "auto"))) or edits.all_fields()
    lines = [_line(f"{field:<12} {named.get(field, 'found by its name')}") for field in fields]
    field = await app.push_screen_wait(Pick("Which field?", lines))
    if field is None:
        return None
    choices = [_line("found by its name"), *(_line(one.name) for one in columns)]
    notes = ["", *(one_line(one.example, 280) for one in columns)]
    column = await app.push_screen_wait(Pick(f"Which column is {fields[field]}?", choices, 0, notes))
    if column is None:
        return None
    return edits.with_column(draft, place, fields[field], columns[column - 1].name if column else None)


async def _ask_other_file(app: "TunerApp", draft: Draft, place: Place) -> Draft | None:
    path = await ask_file(app, "Another file", draft)
    return edits.with_path(draft, place, path) if path else None


async def _ask_split(app: "TunerApp", draft: Draft, place: Place) -> Draft | None:
    present = str(draft.get(*place.path).get("split", "train"))
    split = await app.push_screen_wait(TextPrompt("Split", present, "train, test, validation, …"))
    return edits.with_field(draft, place, "split", split if split != "train" else None) if split else None


async def _ask_weight(app: "TunerApp", draft: Draft, place: Place) -> Draft | None:
    hint = "2 shows each row twice per epoch, 0.5 a new half of them each epoch."
    weight = str(draft.get(*place.path).get("weight", 1.0))
    text = await app.push_screen_wait(TextPrompt("Weight", weight, hint, weight_problem))
    if not text:
        return None
    return edits.with_field(draft, place, "weight", float(text) if float(text) != 1 else None)


def _facts_of(app: "TunerApp", place: Place) -> SourceFacts | None:
    """What was found in a source."""
    facts = app.outlook.facts.data.facts if app.outlook.facts.data else None
    found = () if facts is None else facts.sources if place.group == "sources" else facts.evaluation_sources
    return found[place.number] if place.number < len(found) else None


def _columns(path: str) -> tuple[Column, ...]:
    try:
        return source_columns(DataSource(path=path))
    except DataError:
        return ()  # what is wrong with the file stands in the panel already


def _line(text: str) -> Text:
    return Text(one_line(text, 64), no_wrap=True)


QUESTIONS = {0: _ask_other_file, 1: _ask_shape, 3: _ask_weight, 4: _ask_split}
