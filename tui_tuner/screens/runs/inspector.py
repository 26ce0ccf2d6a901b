"""The run under the cursor: its curve, how it stands, what its recipe says differently from the run before it."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from tui_tuner.events import RunState
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks, inks_of
from tui_tuner.screens.runs.catalogue import RunEntry
from tui_tuner.screens.runs.differences import Difference
from tui_tuner.screens.widgets.plot import Axes, Series, plot
from tui_tuner.units import duration, file_size, loss, speed

CHART_HEIGHT = 14
MAX_DIFFERENCES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was read of one run for the inspector."""

    entry: RunEntry
    state: RunState
    compared_with: str = ""
    differences: tuple[Difference, ...] = ()
    adapter_bytes: int | None = None


class Inspector(Widget):
    """Draws `inspection`."""

    can_focus = False
    inspection: reactive[Inspection | None] = reactive(None)

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(classes="panel inspector")
        self._glyphs = glyphs

    def watch_inspection(self, inspection: Inspection | None) -> None:
        self.border_title = Text(one_line(inspection.entry.summary.id)) if inspection else ""

    def render(self) -> RenderableType:
        if self.inspection is None:
            return Text("")
        return inspection_text(self.inspection, self.size.width, self._glyphs, inks_of(self.app.theme_variables))


def inspection_text(shown: Inspection, width: int, glyphs: Glyphs, inks: Inks) -> Group:
    """The whole panel, for `width` cells."""
    state = shown.state
    series = [
        Series(points=state.losses.points, style=str(inks.train), sign="*"),
        Series(points=[(one.step, one.loss) for one in state.evals], style=str(inks.you), sign="o"),
    ]
    axes = Axes(x_max=state.total_steps, axis_style=str(inks.muted))
    lines = [*plot(series, width, CHART_HEIGHT, glyphs, axes), Text("")]
    lines += [_pair(name, value, inks) for name, value in _facts(shown)]
    if shown.differences:
        lines += [Text(""), Text(f"vs {one_line(shown.compared_with, width - 3)}", style=inks.plain + BOLD)]
        lines += [_difference(one, glyphs, inks) for one in shown.differences[:MAX_DIFFERENCES]]
        rest = len(shown.differences) - MAX_DIFFERENCES
        lines += [Text(f"and {rest} more; d shows them", style=inks.muted)] if rest > 0 else []
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def _facts(shown: Inspection) -> Sequence[tuple[str, str]]:
    state, run = shown.state, shown.entry.summary
    best = state.best_eval
    facts = [("step", f"{run.step:,} of {run.total_steps:,}" if run.total_steps else f"{run.step:,}")]
    if best is not None:
        facts.append(("best eval", f"{loss(best.loss)} at step {best.step:,}"))
    if state.tokens_per_second:
        facts.append(("speed", speed(state.tokens_per_second)))
    if state.finished is not None:
        facts.append(("took", duration(state.finished.seconds)))
    if state.proof is not None:
        facts.append(("proof", "passed" if state.proof.passed else "FAILED"))
    if shown.adapter_bytes is not None:
        facts.append(("adapter", file_size(shown.adapter_bytes)))
    if state.warnings:
        facts.append(("warnings", str(len(state.warnings))))
    return facts


def _pair(name: str, value: str, inks: Inks) -> Text:
    return Text.assemble((f"{name:<10}", inks.muted), (one_line(value), inks.plain), no_wrap=True)


def _difference(one: Difference, glyphs: Glyphs, inks: Inks) -> Text:
    before, now = (one_line(value, 24) for value in one.values[:2])
    return Text.assemble(
        ("  " + one.path.rpartition(".")[2] + "  ", inks.muted),
        (before, inks.plain),
        (f" {glyphs.arrow} ", inks.muted),
        (now, inks.you),
        no_wrap=True,
    )
