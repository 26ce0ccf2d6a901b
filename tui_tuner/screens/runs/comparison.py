"""Two or more runs side by side: their curves in one chart, and the fields in which their recipes differ."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.table import Table
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.events import RunState
from tui_tuner.safe_text import one_line
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import BOLD, Inks, inks_of
from tui_tuner.screens.runs.differences import Difference
from tui_tuner.screens.widgets.plot import Axes, Series, plot
from tui_tuner.units import loss

SIGNS = "*o+x#@"
CHART_HEIGHT = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One of them."""

    name: str
    state: RunState


class ComparisonDialog(Dialog[None]):
    """Curves above, differences below; `e` switches between training and held-out loss."""

    HELP = "The marked runs over each other. Only what their recipes say differently is listed."
    BINDINGS: ClassVar[list[BindingType]] = [Binding("e", "switch", "train / eval", id="compare.switch")]

    def __init__(self, runs: Sequence[ComparedRun], differences: Sequence[Difference], glyphs: Glyphs) -> None:
        super().__init__(f"{len(runs)} runs compared", classes="-wide-dialog")
        self._runs = runs
        self._differences = differences
        self._glyphs = glyphs
        self._shows_evals = any(run.state.evals for run in runs)

    def compose_content(self) -> Iterator[Widget]:
        yield Static(classes="comparison-chart")
        with VerticalScroll(classes="dialog-scroll"):
            yield Static(classes="comparison-table")

    def on_mount(self) -> None:
        self._draw()
        self.query_one(VerticalScroll).focus()

    def on_resize(self) -> None:
        self._draw()

    def action_switch(self) -> None:
        self._shows_evals = not self._shows_evals
        self._draw()

    def _draw(self) -> None:
        inks = inks_of(self.app.theme_variables)
        chart = self.query_one(".comparison-chart", Static)
        width = max(20, chart.size.width or 70)
        chart.update(comparison_chart(self._runs, width, self._glyphs, inks, shows_evals=self._shows_evals))
        self.query_one(".comparison-table", Static).update(difference_table(self._runs, self._differences, inks))


def comparison_chart(runs: Sequence[ComparedRun], width: int, glyphs: Glyphs, inks: Inks, *, shows_evals: bool) -> Text:
    """The curves in one chart, then a line that says which is which."""
    series = [
        Series(
            points=[(one.step, one.loss) for one in run.state.evals] if shows_evals else run.state.losses.points,
            style=str(_colours(inks)[number % 5]),
            sign=SIGNS[number % len(SIGNS)],
        )
        for number, run in enumerate(runs)
    ]
    legend = Text("held-out loss  " if shows_evals else "training loss  ", style=inks.muted)
    for one, run in zip(series, runs, strict=True):
        best = run.state.best_eval
        legend.append(f"{one.sign} {one_line(run.name, 24)}", style=one.style)
        legend.append(f" {loss(best.loss)}   " if best else "   ", style=inks.muted)
    return Text("\n").join([*plot(series, width, CHART_HEIGHT, glyphs, Axes(axis_style=str(inks.muted))), legend])


def difference_table(runs: Sequence[ComparedRun], differences: Sequence[Difference], inks: Inks) -> Table | Text:
    """A column for each run, a line for each field in which they are not alike."""
    if not differences:
        return Text("The recipes say the same.", style=inks.muted)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style=inks.muted)
    table.add_column("field", style=inks.muted, no_wrap=True)
    for run in runs:
        table.add_column(Text(one_line(run.name, 24)), no_wrap=True, overflow="ellipsis")
    for one in differences:
        table.add_row(one.path, *(Text(one_line(value, 40), style=inks.plain + BOLD) for value in one.values))
    return table


def _colours(inks: Inks) -> tuple[Style, ...]:
    return (inks.train, inks.you, inks.success, inks.special, inks.warning)
