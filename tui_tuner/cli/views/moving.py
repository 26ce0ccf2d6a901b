"""The line that moves while a run goes on: phase, progress, loss, speed and time left, in the width that is there."""

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import bar, mark
from tui_tuner.cli.views.lines import KIND_WIDTH
from tui_tuner.events import Phase, RunState

MIN_BAR, MAX_BAR = 6, 30
# "59 m 59 s left": the bar keeps its length while the time left shrinks.
LEFT_WIDTH = 14


def moving_lines(state: RunState, elapsed: float, notice: str, width: int) -> RenderableType:
    """`elapsed` is the time since the phase began; `notice` goes below."""
    line = _training(state, width) if state.phase == Phase.TRAINING and state.last_step else _waiting(state, elapsed)
    return Group(line, Text(notice, style="yours")) if notice else line


def _waiting(state: RunState, elapsed: float) -> Text:
    name = state.phase.value if state.phase else "starting"
    line = Text.assemble(mark("running"), f" {name:<{KIND_WIDTH}} ", (units.duration(elapsed), "quiet"))
    if state.progress:
        total = f" of {units.count(state.progress.total)}" if state.progress.total else ""
        line.append(f"  {units.count(state.progress.done)}{total}")
    return line


def _training(state: RunState, width: int) -> Text:
    """The bar takes what the figures leave; on a narrow terminal figures go from the right."""
    assert state.last_step is not None
    total = state.total_steps or state.step
    head = Text.assemble(
        mark("paused" if state.paused else "running"), f" {'paused' if state.paused else 'training':<{KIND_WIDTH}} "
    )
    figures = [f"{state.step:>{len(str(total))}}/{total}", f"loss {units.loss(state.last_step.loss)}"]
    if state.recent_tokens_per_second:
        figures.append(units.speed(state.recent_tokens_per_second))
    if state.seconds_left:
        figures.append(f"{units.duration(state.seconds_left)} left".ljust(LEFT_WIDTH))
    while len(figures) > 1 and len(head) + MIN_BAR + len(_tail(figures)) > width:
        figures.pop()
    size = max(MIN_BAR, min(MAX_BAR, width - len(head) - len(_tail(figures))))
    filled = bar(state.step / total, size)
    return Text.assemble(head, filled, ("░" * (size - len(filled)), "quiet"), _tail(figures), no_wrap=True)


def _tail(figures: list[str]) -> str:
    return "".join(f"  {figure}" for figure in figures)
