"""One side of a conversation as lines: pure functions from exchanges to text."""

import io
from functools import cache

from rich.console import Console
from rich.style import Style
from rich.text import Text

from tui_tuner.safe_text import visible
from tui_tuner.screens.chat.talk import Answer, Exchange, Place
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.units import duration

MAX_SHOWN = 40_000
"""Characters of one text that are drawn; longer ones are shown from their end."""
HIDDEN_NAMES: dict[Place, str] = {"left": "A", "right": "B"}


def exchange_lines(exchange: Exchange, place: Place, width: int, glyphs: Glyphs, inks: Inks) -> list[Text]:
    """Question, answer, and how the answer came about."""
    side = exchange.side_at(place)
    answer = exchange.answer(side)
    lines = [Text("you", style=inks.muted), *wrapped(exchange.question, width, inks.plain), Text()]
    if answer is None:
        return lines
    is_tuned = side == "tuned" and not exchange.is_hidden
    name = HIDDEN_NAMES[place] if exchange.is_hidden else side
    lines.append(Text(name, style=(inks.you if is_tuned else inks.muted) + BOLD))
    if answer.text:
        cursor = glyphs.full if answer.stop is None and not exchange.is_hidden else ""
        lines += wrapped(answer.text + cursor, width, inks.plain)
    lines += [*facts_lines(answer, exchange, width, glyphs, inks), Text()]
    return lines


def facts_lines(answer: Answer, exchange: Exchange, width: int, glyphs: Glyphs, inks: Inks) -> list[Text]:
    """Tokens, time, speed and why it ended. Speed and length would give a hidden side away: not before the vote."""
    sign, words, ink = _ending(answer, glyphs, inks)
    if answer.problem:
        return wrapped(f"{sign} {answer.problem}", width, ink)
    if exchange.is_hidden:
        return [Text(f"{sign} writing" if answer.stop is None else f"{glyphs.done} complete", style=inks.muted)]
    facts = [words, f"{answer.num_tokens:,} tok", duration(answer.seconds)]
    if answer.tokens_per_second:
        facts.append(f"{answer.tokens_per_second:,.0f} tok/s")
    line = Text.assemble((f"{sign} ", ink), (f" {glyphs.dot} ".join(facts), inks.muted))
    return list(line.wrap(_console(), max(1, width), overflow="fold"))


def wrapped(text: str, width: int, style: Style) -> list[Text]:
    """Text from outside, made safe, over as many lines as it takes."""
    cut = text if len(text) <= MAX_SHOWN else "… " + text[-MAX_SHOWN:]
    whole = Text(visible(cut), style=style)
    return list(whole.wrap(_console(), max(1, width), overflow="fold"))


def _ending(answer: Answer, glyphs: Glyphs, inks: Inks) -> tuple[str, str, Style]:
    match answer.stop:
        case None:
            return glyphs.running, "writing", inks.train
        case "end":
            return glyphs.done, "ended", inks.success
        case "length":
            return glyphs.cut, "cut", inks.warning
        case "stopped":
            return glyphs.stopped, "stopped", inks.muted
        case "failed":
            return glyphs.failed, "failed", inks.error


@cache
def _console() -> Console:
    """rich wraps by the settings of a console; nothing is written to this one."""
    return Console(file=io.StringIO(), width=80, color_system=None)
