"""The checks as lines: those that found something first, the worst on top, then how many found nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from tui_tuner.data.audit.findings import CHECKS, CheckInfo
from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.units import count


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEntry:
    """One check that found something."""

    info: CheckInfo
    num_rows: int
    is_blocking: bool
    """Whether training refuses because of it, under the policies of the recipe."""


def check_entries(labels: Labels) -> tuple[CheckEntry, ...]:
    """What stops the training first, then in the order of the checks."""
    blocking = labels.verdict.blocking()
    found = [
        CheckEntry(info=CHECKS[name], num_rows=number, is_blocking=name in blocking)
        for name, number in (labels.counted.totals if labels.counted else {}).items()
    ]
    ranks = {"blocking": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda one: (not one.is_blocking, ranks[one.info.severity])))


def check_line(entry: CheckEntry, glyphs: Glyphs, inks: Inks, *, is_filter: bool) -> Text:
    """Sign, rows, title. The one whose rows are listed alone is marked."""
    sign, ink = check_sign(entry, glyphs, inks)
    line = Text(f"{sign} ", style=ink, no_wrap=True)
    line.append(f"{count(entry.num_rows):>6} ", style=inks.plain + BOLD if entry.is_blocking else inks.plain)
    line.append(entry.info.title, style=inks.you if is_filter else inks.plain)
    return line


def check_sign(entry: CheckEntry, glyphs: Glyphs, inks: Inks) -> tuple[str, str]:
    if entry.is_blocking:
        return glyphs.failed, str(inks.error)
    if entry.info.severity == "note":
        return glyphs.dot, str(inks.muted)
    return glyphs.attention, str(inks.warning)


def quiet_lines(entries: Sequence[CheckEntry], labels: Labels, glyphs: Glyphs, inks: Inks) -> Text:
    """On how many rows both methods agree, and how many checks found nothing."""
    so_far = " so far" if labels.is_busy else ""
    lines = [f"{len(CHECKS) - len(entries)} checks found nothing{so_far}"]
    compared = labels.counted.num_compared if labels.counted else 0
    if compared:
        agreeing = compared - labels.counted.totals.get("disagreement", 0) if labels.counted else 0
        lines.insert(0, f"two methods agree on {count(agreeing)} of {count(compared)} rows")
    text = Text(no_wrap=True)
    for number, line in enumerate(lines):
        text.append("\n" if number else "")
        text.append(f"{glyphs.done} ", str(inks.success))
        text.append(line, str(inks.muted))
    return text


def checks_title(labels: Labels | None) -> str:
    """The headline of the panel."""
    if labels is None or labels.counted is None:
        return "Checks"
    blocking = sum(labels.verdict.blocking().values())
    if blocking:
        return f"Checks · {count(blocking)} {'row blocks' if blocking == 1 else 'rows block'}"
    others = len(labels.counted.problem_rows)
    return f"Checks · {count(others)} {'row' if others == 1 else 'rows'} to look at" if others else "Checks · clean"
