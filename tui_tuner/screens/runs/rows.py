"""A run as one line, and the line above the list: pure functions from a summary to text."""

import math
import re

from rich.style import Style
from rich.text import Text

from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.screens.runs.catalogue import RunEntry
from tui_tuner.screens.widgets.bars import bar, sparkline
from tui_tuner.starter import model_title
from tui_tuner.units import ago

BAR_WIDTH = 8
SKETCH_WIDTH = 10
FIXED_WIDTH = 3 + 1 + 1 + BAR_WIDTH + 6 + SKETCH_WIDTH + 10 + 8
MODEL_SHARE = 0.4
DATED = re.compile(r"\d{8}-\d{6}-[\x21-\x7e]*$")
"""A run that was not named: day, time, model."""


def state_sign(entry: RunEntry, glyphs: Glyphs, inks: Inks) -> tuple[str, Style]:
    """The sign and colour of a run's state."""
    return {
        "running": (glyphs.running, inks.train),
        "paused": (glyphs.paused, inks.you),
        "completed": (glyphs.done, inks.success),
        "stopped": (glyphs.stopped, inks.muted),
        "failed": (glyphs.failed, inks.error),
        "interrupted": (glyphs.attention, inks.warning),
        "unreadable": (glyphs.unknown, inks.error),
    }[entry.summary.state]


def header_line(width: int) -> str:
    """Names of the columns, above the list."""
    name, model = _widths(width)
    line = "   " + "run".ljust(name) + " " + "model".ljust(model) + " " + "progress".ljust(BAR_WIDTH + 6)
    return (line + "loss".ljust(SKETCH_WIDTH) + "best eval".rjust(10) + "when".rjust(8))[:width]


def run_line(entry: RunEntry, width: int, glyphs: Glyphs, inks: Inks, now: float, *, is_marked: bool = False) -> Text:
    """One run: state, name, model, progress, sketch of the loss, best held-out loss, age."""
    run = entry.summary
    name_width, model_width = _widths(width)
    sign, ink = state_sign(entry, glyphs, inks)
    line = Text(glyphs.marked if is_marked else " ", style=inks.you, no_wrap=True)
    line.append(sign + " ", style=ink)
    line.append(_name(run.id, name_width, glyphs), style=inks.plain + BOLD if entry.is_living else inks.plain)
    line.append(" " + _fitted(model_title(run.model), model_width), style=inks.muted)
    share = run.step / run.total_steps if run.total_steps else 0.0
    line.append(" " + bar(share, BAR_WIDTH, glyphs), style=ink)
    line.append(f"{share:5.0%} " if run.total_steps else "      ", style=inks.muted)
    line.append(sparkline(run.losses, SKETCH_WIDTH, glyphs).ljust(SKETCH_WIDTH), style=inks.train)
    line.append(_loss(run.best_loss, run.last_loss).rjust(10), style=inks.plain)
    when = "now" if entry.is_living else ago(run.updated or run.started or now, now).removesuffix(" ago")
    line.append(when.rjust(8), style=inks.muted)
    return line


def problem_line(entry: RunEntry) -> str:
    """Why a run is not what one hopes for, and the key that helps; empty where all is well."""
    run = entry.summary
    if run.state == "interrupted":
        where = f"at step {run.checkpoint_step:,}" if run.checkpoint_step is not None else "from the start"
        return f"{run.id} died without a word at step {run.step:,}; r resumes {where}"
    if run.problem:
        return f"{run.id}: {run.problem.replace(f'{run.folder}/', '')}"
    return ""


def _widths(width: int) -> tuple[int, int]:
    spare = max(16, width - FIXED_WIDTH)
    model = min(24, int(spare * MODEL_SHARE))
    return spare - model, model


def _name(run_id: str, width: int, glyphs: Glyphs) -> str:
    """A name that was given from its beginning; of one that begins with the day its end, which tells it from others."""
    if DATED.match(run_id) and len(run_id) > width:
        cut = "~" if glyphs.name == "ascii" else "…"
        return cut + one_line(run_id[len(run_id) - width + 1 :], width)
    return _fitted(run_id, width)


def _fitted(text: str, width: int) -> str:
    return one_line(text, max(1, width)).ljust(width)


def _loss(best: float | None, last: float | None) -> str:
    value = best if best is not None else last if last is not None and not math.isfinite(last) else None
    return "" if value is None else f"{value:.3f}" if math.isfinite(value) else str(value)
