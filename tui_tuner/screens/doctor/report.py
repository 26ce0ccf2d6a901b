"""What doctor found, as lines: pure functions from checks to text."""

from collections.abc import Sequence

from rich.style import Style
from rich.text import Text

from tui_tuner.diagnosis.check import Check
from tui_tuner.safe_text import one_line, visible
from tui_tuner.screens.doctor.why import why
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks

NAME_WIDTH = 14


def sign_of(check: Check, glyphs: Glyphs, inks: Inks) -> tuple[str, Style]:
    return {
        "ok": (glyphs.done, inks.success),
        "note": (glyphs.dot, inks.special),
        "warning": (glyphs.attention, inks.warning),
        "fail": (glyphs.failed, inks.error),
    }[check.status]


def check_line(check: Check, width: int, glyphs: Glyphs, inks: Inks, *, is_first_of_group: bool) -> Text:
    """Group, sign, name and finding on one line."""
    sign, ink = sign_of(check, glyphs, inks)
    line = Text(no_wrap=True)
    line.append((check.group if is_first_of_group else "").ljust(10), style=inks.muted)
    line.append(f"{sign} ", style=ink)
    line.append(one_line(check.name, NAME_WIDTH).ljust(NAME_WIDTH + 1), style=inks.plain + BOLD)
    is_quiet = check.status in ("ok", "note")
    line.append(one_line(check.finding, max(1, width)), style=inks.plain if not is_quiet else inks.muted)
    line.truncate(width, overflow="ellipsis")
    return line


def advice(check: Check, glyphs: Glyphs, inks: Inks) -> Text:
    """The whole finding, what to do about it, and why it matters."""
    sign, ink = sign_of(check, glyphs, inks)
    text = Text.assemble((f"{sign} ", ink), (visible(check.name), inks.plain + BOLD), "\n")
    text.append(visible(check.finding), style=inks.plain)
    if check.fix:
        text.append(f"\n\n{glyphs.arrow} ", style=inks.you)
        text.append(visible(check.fix), style=inks.plain)
    elif check.status == "ok":
        text.append("\n\nNothing to do.", style=inks.muted)
    if reason := why(check):
        text.append(f"\n\n{reason}", style=inks.muted)
    return text


def all_advice(checks: Sequence[Check], glyphs: Glyphs, inks: Inks) -> Text:
    """Everything that is to be done, what keeps runs from starting first."""
    rank = {"fail": 0, "warning": 1, "note": 2}
    found = sorted((one for one in checks if one.status in rank and one.fix), key=lambda one: rank[one.status])
    if not found:
        return Text("Nothing.", style=inks.muted)
    return Text("\n").join(_one_advice(check, glyphs, inks) for check in found)


def _one_advice(check: Check, glyphs: Glyphs, inks: Inks) -> Text:
    sign, ink = sign_of(check, glyphs, inks)
    text = Text.assemble((f"{sign} ", ink), (visible(check.name), inks.plain + BOLD))
    text.append(f"  {visible(check.finding)}", style=inks.muted)
    return text.append(f"\n  {glyphs.arrow} ", style=inks.you).append(visible(check.fix), style=inks.plain)


def verdict(checks: Sequence[Check], *, is_done: bool) -> str:
    """The whole in a line."""
    num_failed = sum(check.status == "fail" for check in checks)
    num_warnings = sum(check.status == "warning" for check in checks)
    parts = [] if is_done else ["looking…"]
    if num_failed:
        parts.append(f"{num_failed} must be mended before a run can start")
    if num_warnings:
        parts.append(f"{num_warnings} to look at")
    if is_done and not num_failed and not num_warnings:
        parts.append("everything a run needs is here")
    parts.append(f"{len(checks)} looked at")
    return "  ·  ".join(parts)


def report_text(checks: Sequence[Check]) -> str:
    """For a message to somebody who helps."""
    signs = {"ok": "ok  ", "note": "note", "warning": "WARN", "fail": "FAIL"}
    lines = []
    for check in checks:
        lines.append(f"{signs[check.status]}  {check.name:<{NAME_WIDTH}}  {check.finding}")
        if check.fix:
            lines.append(f"      {'':<{NAME_WIDTH}}  -> {check.fix}")
    return "\n".join(lines) + "\n"
