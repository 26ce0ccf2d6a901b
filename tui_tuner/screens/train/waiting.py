"""What a run does before there is a loss to draw: its stations, the ones behind it ticked. Pure."""

from rich.text import Text

from tui_tuner.events import Phase, RunState
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks
from tui_tuner.units import count

WHAT = {
    None: "starts Python and torch",
    Phase.PLANNING: "reads model, data and memory",
    Phase.LABELLING: "labels every row, checks each",
    Phase.LOADING: "loads the weights",
    Phase.BASELINE: "the base on the held-out rows",
    Phase.TRAINING: "the curve begins at step 1",
}


def waiting_lines(state: RunState, width: int, glyphs: Glyphs, inks: Inks) -> list[Text]:
    """A line for each station up to training, the present one with how far it is."""
    phases = list(WHAT)
    now = phases.index(state.phase) if state.phase in WHAT else 0
    lines = []
    for place, (phase, what) in enumerate(WHAT.items()):
        name = phase.value if phase else "starting"
        sign, ink = (glyphs.done, inks.success) if place < now else (glyphs.dot, inks.muted)
        if place == now:
            sign, ink = glyphs.running, inks.train
        line = Text(f"{sign} ", style=ink, no_wrap=True)
        line.append(name.ljust(10), style=inks.plain + BOLD if place == now else inks.muted)
        line.append((progress_words(state) if place == now else "").rjust(5), style=inks.train)
        line.append(f"  {what}", style=inks.muted)
        line.truncate(width, overflow="ellipsis")
        lines.append(line)
    return lines


def progress_words(state: RunState) -> str:
    """How far the present station is; empty where it does not say."""
    progress = state.progress
    if progress is None or progress.phase != state.phase:
        return ""
    return f"{100 * progress.done // max(1, progress.total)} %" if progress.total else count(progress.done)
