"""Lines of the form, and the words under it, as text."""

from collections.abc import Sequence

from rich.text import Text

from tui_tuner.recipe.schema import allowed_words, description_of
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.recipe.field_values import value_words
from tui_tuner.screens.recipe.form_rows import FormRow

TITLE_WIDTH = 24
NARROW_TITLE = 19
WIDE = 60
VALUE_WIDTH = 20
SHORT_TITLES = {"Gradient accumulation": "Grad. accumulation", "Embedding learning rate": "Embedding rate"}
"""Where there is no room for the whole."""


def form_line(row: FormRow, width: int, glyphs: Glyphs, inks: Inks) -> Text:
    """A head, or: a sign where it differs, the field's name, its value, and where there is room the reason."""
    if row.is_head:
        line = Text(row.title.lower(), style=inks.you + BOLD, no_wrap=True)
        return line.append(f"  {glyphs.failed} {one_line(row.problem, 120)}" if row.problem else "", style=inks.error)
    title_width = TITLE_WIDTH if width >= WIDE else NARROW_TITLE
    line = Text(no_wrap=True)
    sign, style = (glyphs.failed, inks.error) if row.problem else (glyphs.running if row.is_set else " ", inks.you)
    line.append(f"{sign} ", style=style)
    line.append(f"{_title(row.title, title_width - 1):<{title_width}}", style=inks.plain if row.is_set else inks.muted)
    _append_value(line, row, glyphs, inks)
    if width >= WIDE:
        line.truncate(title_width + VALUE_WIDTH + 1)
        line.pad_right(max(0, title_width + VALUE_WIDTH + 3 - line.cell_len))
        line.append(one_line(row.problem or row.reason, 200), style=inks.error if row.problem else inks.muted)
    return line


def _title(title: str, width: int) -> str:
    return one_line(title if len(title) <= width else SHORT_TITLES.get(title, title), width)


def _append_value(line: Text, row: FormRow, glyphs: Glyphs, inks: Inks) -> None:
    if row.value == "auto":
        line.append("auto", style=inks.muted)
        if row.planned:
            line.append(f" {glyphs.arrow} ", style=inks.muted)
            line.append(one_line(row.planned, 60), style=inks.train)
        return
    words = _fitted(one_line(value_words(row.value, row.schema), 400))
    line.append(words, style=inks.you + BOLD if row.is_set else inks.muted if row.value is None else inks.plain)


def _fitted(words: str) -> str:
    """Of a long path the end says most."""
    return f"…{words[-(VALUE_WIDTH - 2) :]}" if len(words) > VALUE_WIDTH and "/" in words else words


def explanation(row: FormRow, live: str, glyphs: Glyphs, inks: Inks) -> Text:
    """The field under the cursor: what is wrong, why it is as it is, your own figures, what it is, what it takes."""
    if row.schema is None:
        return Text(row.reason, style=inks.muted)
    text = Text(style=inks.muted)
    if row.problem:
        text.append(f"{glyphs.failed} {one_line(row.problem, 300)}\n", style=inks.error)
    if row.reason:
        text.append(f"{one_line(row.planned, 60)}: {one_line(row.reason, 200)}\n", style=inks.train)
    if live:
        text.append(f"{one_line(live, 300)}\n", style=inks.plain)
    text.append(description_of(row.schema))
    return text.append(f" Takes {allowed_words(row.schema)}.")


def cut_after(lines: Sequence[Text], width: int, height: int) -> Text:
    """The lines that there is room for; the last one tells that there are more, which `?` shows."""
    if len(lines) <= height or not height:
        return Text("\n").join(lines)
    last = lines[height - 1].copy()
    last.rstrip()
    last.truncate(max(0, width - 2))
    if len(lines[height - 1]) > len(last) and " " in last.plain:
        last.right_crop(len(last) - last.plain.rindex(" "))
    return Text("\n").join([*lines[: height - 1], last.append(" …")])
