"""Which rows the list shows: those of a check, or those that a few words ask for. Pure."""

import re

import numpy as np

from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.looking.files import UNUSABLE
from tui_tuner.data.looking.look import RowNumbers
from tui_tuner.screens.data.labels import Labels

COMPARISON = re.compile(r"([<>])\s*([\d,]+)\s*(%?)")
HINT = 'a row number, ">2000" or "<50" tokens, "<10%" trained, or words of a check; "!" before it inverts'


def filtered_rows(labels: Labels, text: str) -> RowNumbers | str:
    """The rows, or in words why there are none."""
    text = text.strip()
    look = labels.look
    if look is None:
        return "nothing is read yet"
    if text.startswith("!"):
        rows = filtered_rows(labels, text[1:])
        return rows if isinstance(rows, str) else np.setdiff1d(np.arange(look.num_rows), rows)
    comparison = COMPARISON.fullmatch(text)
    if comparison:
        sign, number, is_share = comparison[1], int(comparison[2].replace(",", "")), bool(comparison[3])
        values = 100 * look.trained / np.maximum(1, look.lengths) if is_share else look.lengths
        is_found = (values > number) if sign == ">" else (values < number)
        found: RowNumbers = np.flatnonzero(is_found & (look.kinds != UNUSABLE))
    elif text.replace(",", "").isdigit():
        row = int(text.replace(",", "")) - 1
        return np.array([row]) if 0 <= row < look.num_rows else f"there are rows 1 to {look.num_rows:,}"
    else:
        found = _rows_of_checks(labels, text.lower())
    return found if len(found) else "no row is like that"


def _rows_of_checks(labels: Labels, words: str) -> RowNumbers:
    """Rows of all checks whose name or title holds the words."""
    names = [name for name, info in CHECKS.items() if words and words in f"{name} {info.title}".lower()]
    rows = [labels.rows_of(name) for name in names]
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)
