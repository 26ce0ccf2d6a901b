"""The panels of the Train station. Each draws the value that it is given, for the cells that it has."""

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size

from tui_tuner.events import RunState
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks
from tui_tuner.screens.train.drawn import Drawn
from tui_tuner.screens.train.help_words import SAMPLES, gauges_help, loss_help
from tui_tuner.screens.train.meters import Gauges, gauge_lines
from tui_tuner.screens.train.samples import sample_lines
from tui_tuner.screens.train.smoothing import STRENGTHS, smoothed
from tui_tuner.screens.train.waiting import waiting_lines
from tui_tuner.screens.widgets.plot import Axes, Series, plot
from tui_tuner.units import loss


class LossChart(Drawn):
    """Training loss, raw and smoothed, and held-out loss."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "log", "log axis", show=False, id="train.log"),
        Binding("left_square_bracket", "smooth(-1)", "less smooth", show=False, id="train.rough"),
        Binding("right_square_bracket", "smooth(1)", "smoother", show=False, id="train.smooth"),
    ]

    def __init__(self, glyphs: Callable[[], Glyphs]) -> None:
        super().__init__("Loss", glyphs, "loss-chart", has_focus=True)
        self._is_log = False
        self._strength = 3
        self._state = RunState()

    def show_state(self, state: RunState) -> None:
        self._state = state
        last, evals = state.last_step, state.evals
        head = f"Loss {loss(last.loss)}" if last else "Loss"
        best = " base" if evals and not evals[-1].step else " best" if evals and state.best_eval is evals[-1] else ""
        kind = "log" if self._is_log else "linear"
        self.name_it(
            f"{head} · eval {loss(evals[-1].loss)}{best}" if evals else head,
            f"[ ] smooth {STRENGTHS[self._strength]:g} · l {kind}",
        )
        self.show(self._lines)

    def help_text(self) -> str:
        return loss_help(self._state)

    def action_log(self) -> None:
        self._is_log = not self._is_log
        self.show_state(self._state)

    def action_smooth(self, step: int) -> None:
        self._strength = max(0, min(len(STRENGTHS) - 1, self._strength + step))
        self.show_state(self._state)

    def _lines(self, size: Size, glyphs: Glyphs, inks: Inks) -> list[Text]:
        state = self._state
        if not state.losses.points and not state.evals:
            return waiting_lines(state, size.width, glyphs, inks)
        strength = STRENGTHS[self._strength]
        series = [Series(points=state.losses.points, style=str(inks.frame if strength else inks.train), sign=".")]
        if strength:
            series.append(Series(points=smoothed(state.losses.points, strength), style=str(inks.train), sign="*"))
        series.append(Series(points=[(one.step, one.loss) for one in state.evals], style=str(inks.you), sign="o"))
        axes = Axes(x_max=state.total_steps, is_log=self._is_log, axis_style=str(inks.muted), marks=chart_marks(state))
        return plot(series, size.width, size.height, glyphs, axes)


class GaugePanel(Drawn):
    """Speed, memory, GPU, gradient, learning rate."""

    def __init__(self, glyphs: Callable[[], Glyphs]) -> None:
        super().__init__("Machine", glyphs, "gauges", has_focus=True)
        self._gauges = Gauges(state=RunState(), gpu=None, process_bytes=None)

    def help_text(self) -> str:
        return gauges_help(self._gauges)

    def show_gauges(self, gauges: Gauges, title: str) -> None:
        self._gauges = gauges
        self.name_it(title)
        self.show(lambda size, glyphs, inks: gauge_lines(gauges, size.width, size.height, glyphs, inks))


class SamplePanel(Drawn):
    """One prompt's answers, from the base's to the latest."""

    HELP = SAMPLES
    BINDINGS: ClassVar[list[BindingType]] = [Binding("n", "next", "next prompt", id="train.prompt")]

    def __init__(self, glyphs: Callable[[], Glyphs]) -> None:
        super().__init__("Same prompt, as it learns", glyphs, "samples", has_focus=True)
        self._state = RunState()
        self._index = 0

    def show_state(self, state: RunState) -> None:
        self._state = state
        self.show(
            lambda size, glyphs, inks: sample_lines(self._state, self._index, size.width, size.height, glyphs, inks)
        )

    def action_next(self) -> None:
        self._index += 1
        self.show_state(self._state)


def chart_marks(state: RunState) -> tuple[tuple[float, str], ...]:
    """What a person did, and what was saved, as signs on the x axis."""
    signs = {"learning_rate": "<", "pause": "p"}
    marks = [(float(one.step), "s") for one in state.checkpoints if one.is_best]
    marks += [(float(one.step), signs[one.action]) for one in state.controls if one.action in signs]
    marks += [(float(one.step), "r") for one in state.resumed]
    return tuple(marks)
