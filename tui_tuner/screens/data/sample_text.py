"""From a row's tokens to the lines of the sample panel: reads their texts, leaves out the middle of very long rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from rich.cells import chop_cells
from rich.text import Text

from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.looking.look import TokenRow
from tui_tuner.data.looking.token_reader import TokenReader
from tui_tuner.safe_text import one_line, visible
from tui_tuner.screens.data.labels import Sample
from tui_tuner.screens.data.sample_lines import Mode, Token, token_lines
from tui_tuner.screens.data.token_inks import TokenInks
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks

HEAD_TOKENS, TAIL_TOKENS = 6_000, 2_000
"""Of a longer row only so many at each end are shown."""
MOST_RAW = 4_000
LINE_SUFFIXES = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How a row is to be drawn."""

    width: int
    mode: Mode
    glyphs: Glyphs
    inks: Inks
    tokens: TokenInks
    special_ids: frozenset[int]
    stop_ids: frozenset[int]


def sample_page(sample: Sample, reader: TokenReader, page: Page) -> list[Text]:
    """Every line of the sample panel.

    Raises:
        DataError: the tokenizer cannot be read.
        OSError: the row's file is gone.
    """
    lines = [line for found in sample.findings for line in finding_lines(found.check, str(found), page)]
    if sample.findings:
        lines.append(Text(one_line(sample.ref, 400)[-page.width :], style=page.inks.muted, no_wrap=True))
    lines += [Text(line, style=page.inks.plain, no_wrap=True) for line in _raw_lines(sample, page.width)]
    fitted = sample.fitted
    row, kept = sample.whole, len(sample.whole.ids)
    if fitted is not None:
        row, kept = fitted.anew or sample.whole, fitted.length
        if fitted.turns:
            turns = "1 oldest turn is" if fitted.turns == 1 else f"{fitted.turns} oldest turns are"
            lines.append(_note(f"{page.glyphs.cut} {turns} left out to fit", page))
    shown = list(_shown(len(row.ids)))
    for number, (start, end) in enumerate(shown):
        if number:
            gap = start - shown[number - 1][1]
            lines.append(_note(f"{page.glyphs.dot} {gap:,} tokens between are not shown", page))
        texts = reader.texts(row.ids[start:end].tolist())
        tokens = tokens_of(row, texts, start, kept, page)
        lines += token_lines(tokens, page.width, page.mode, page.glyphs, page.tokens)
    return lines


def tokens_of(row: TokenRow, texts: Sequence[str], start: int, kept: int, page: Page) -> list[Token]:
    """The tokens from `start` on that have texts; those from `kept` on are cut away."""
    return [
        Token(
            text=text,
            id=number,
            # The first token of a sequence is never predicted.
            is_trained=bool(is_trained) and place > 0,
            is_special=number in page.special_ids,
            is_stop=number in page.stop_ids,
            is_cut=place >= kept,
        )
        for place, (number, is_trained, text) in enumerate(
            zip(row.ids[start:].tolist(), row.is_trained[start:].tolist(), texts, strict=False), start
        )
    ]


def sample_title(sample: Sample | None, mode: Mode) -> str:
    """The headline of the panel."""
    if sample is None:
        return "Sample"
    words = {"masks": "as the model sees it", "text": "plain text", "ids": "with token ids"}[mode]
    held_out = " · held out" if sample.is_held_out else ""
    return f"Sample {sample.row + 1:,}{held_out} · {words}"


def sample_total(sample: Sample | None) -> str:
    """How much of the row is trained."""
    if sample is None:
        return ""
    whole, fitted = sample.whole, sample.fitted
    if not len(whole.ids):
        return "no labels"
    if fitted is None:
        return f"{np.count_nonzero(whole.is_trained[1:]):,} of {len(whole.ids):,} tokens trained"
    if not fitted.length:
        return f"left out: {len(whole.ids):,} tokens"
    return f"{fitted.num_trained:,} of {fitted.length:,} kept tokens trained (whole: {len(whole.ids):,})"


def finding_lines(check: str, words: str, page: Page) -> list[Text]:
    """A finding over as many lines as it takes."""
    info = CHECKS[check]
    glyphs, inks = page.glyphs, page.inks
    sign, ink = {
        "blocking": (glyphs.failed, inks.error),
        "warning": (glyphs.attention, inks.warning),
        "note": (glyphs.dot, inks.muted),
    }[info.severity]
    detail = one_line(words.partition(": ")[2], 400)
    text = Text(f"{sign} ", style=ink)
    text.append(info.title, style=ink)
    text.append(f": {detail}", style=inks.muted)
    return wrapped(text, page.width)


def wrapped(text: Text, width: int) -> list[Text]:
    """The text in lines of at most `width` cells, those behind the first indented under it."""
    from rich.console import Console

    console = Console(width=max(8, width), file=None, color_system=None)
    lines = text.wrap(console, max(8, width - 2))
    return [line if number == 0 else Text("  ") + line for number, line in enumerate(lines)]


def _raw_lines(sample: Sample, width: int) -> list[str]:
    """Of a row that has no labels the line of its file, where that is a file of lines."""
    path, _, line = sample.ref.rpartition(":")
    if len(sample.whole.ids) or not path.lower().endswith(LINE_SUFFIXES):
        return []
    with Path(path).open("rb") as file:
        raw = next(islice(file, int(line) - 1, None), b"")
    text = visible(raw[:MOST_RAW].decode("utf-8", "replace").rstrip("\n"))
    return ["", *chop_cells(text, max(8, width))]


def _note(words: str, page: Page) -> Text:
    return Text(visible(words), style=page.inks.you, no_wrap=True)


def _shown(length: int) -> list[tuple[int, int]]:
    if length <= HEAD_TOKENS + TAIL_TOKENS:
        return [(0, length)] if length else []
    return [(0, HEAD_TOKENS), (length - TAIL_TOKENS, length)]
