"""The line under the panels of the Train station: how the run stands, how far it is, how long it takes."""

import time

from textual.content import Content

from tui_tuner.events import Outcome
from tui_tuner.hosting.run_view import RunView
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.widgets.bars import bar
from tui_tuner.units import duration

BAR_WIDTH = 12


def status_line(view: RunView, glyphs: Glyphs, *, is_in_process: bool) -> Content:
    """State, progress bar, steps, time left, and whether closing the terminal is safe."""
    state = view.state
    sign, word, ink = _stand(view, glyphs)
    parts = [Content.assemble((f"{sign} {word}", f"bold {ink}"))]
    total = state.total_steps
    if total:
        done = Content.styled(bar(state.step / total, BAR_WIDTH, glyphs, has_track=True), "$train")
        parts[0] += Content("  ") + done + Content(f"  step {state.step:,}/{total:,}")
    if view.is_alive and state.seconds_left:
        parts.append(Content(f"{duration(state.seconds_left)} left"))
    if view.is_alive:
        parts.append(Content("runs in this window" if is_in_process else "safe to close"))
    elif view.exit is not None and not view.is_lost:
        parts.append(Content(view.exit.text))
    return Content("  ·  ").join(parts)


def attached_words(view: RunView) -> str:
    """For the moment of attaching: since when, how long it ran alone, warnings."""
    attachment = view.attachment
    words = [f"attached {time.strftime('%H:%M', time.localtime(attachment.attached_at))}"]
    if attachment.alone_since is not None and view.is_alive:
        words.append(f"ran alone for {duration(max(0.0, attachment.attached_at - attachment.alone_since))}")
    if view.state.warnings:
        words.append(f"{len(view.state.warnings)} warnings")
    return ", ".join(words)


def title_of(view: RunView) -> str:
    """Name of the run, as far as a title may be long."""
    return one_line(view.run_id, 60)


def _stand(view: RunView, glyphs: Glyphs) -> tuple[str, str, str]:
    state = view.state
    if not view.is_caught_up:
        return glyphs.unknown, "reading the journal…", "$muted"
    if view.is_alive:
        if state.paused:
            return glyphs.paused, "paused", "$you"
        return glyphs.running, state.phase.value if state.phase else "starting", "$train"
    if state.failed is not None:
        return glyphs.failed, "failed", "$error"
    if state.finished is not None:
        is_stopped = state.finished.outcome == Outcome.STOPPED
        sign, ink = (glyphs.stopped, "$you") if is_stopped else (glyphs.done, "$success")
        return sign, state.finished.outcome.value, ink
    signal = view.exit.signal if view.exit is not None else None
    return glyphs.attention, f"killed by {signal}" if signal else "died without a word", "$warning"
