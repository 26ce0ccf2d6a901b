"""The help of the Recipe station, about the field under the cursor."""

from tui_tuner.recipe.schema import allowed_words, description_of
from tui_tuner.safe_text import visible
from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.recipe.field_values import value_words
from tui_tuner.screens.recipe.field_words import field_words
from tui_tuner.screens.recipe.form_rows import FormRow

INTRODUCTION = """## Recipe

Everything that a run needs to know. **auto** is an answer: the plan makes a value of it and says why. A dot marks what
differs from the default. Nothing is lost: every change can be undone with `u`, and the draft is kept between sessions.
"""


def help_words(row: FormRow | None, outlook: Outlook) -> str:
    """Markdown about the field and your own figures."""
    if row is None or row.schema is None:
        return INTRODUCTION
    lines = [
        f"## {row.title}",
        f"`{row.dotted}` = {_plain(value_words(row.value, row.schema))}",
        "",
        _plain(description_of(row.schema)),
        "",
        f"It takes {_plain(allowed_words(row.schema))}.",
        f"The default is {_plain(value_words(row.schema.get('default')))}.",
    ]
    if row.planned:
        lines += ["", f"The plan takes **{_plain(row.planned)}**: {_plain(row.reason)}."]
    live = field_words(row.dotted, outlook.plan)
    lines += ["", f"**Your run:** {_plain(live)}"] if live else []
    lines += ["", f"**Wrong:** {_plain(row.problem)}"] if row.problem else []
    return "\n".join([*lines, "", INTRODUCTION])


def _plain(text: str) -> str:
    return visible(text).translate({ord(sign): f"\\{sign}" for sign in "\\`*_[]<>#|"})
