"""Chooses what to work with: a result from the list, or a path. Escape chooses nothing."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.safe_text import one_line
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.sources.results import Result, path_problem, result_at
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.units import ago

MOST_LINES = 11
NO_RESULTS = "No run on this machine has an adapter yet. Paste the path of one below."


class ResultPicker(Dialog[Result | None]):
    """The list has the focus; typing a path is one Tab away."""

    HELP: ClassVar[str | None] = """\
Adapters that runs of yours left, and their checkpoints. **best eval** is the lowest held-out loss of the run.

The line below takes the path of any adapter in PEFT's layout, of a model, or a model's name on the hub."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "choose", id="picker.take"),
        Binding("tab,shift+tab", "app.focus_next", "path", id="picker.path"),
    ]
    DEFAULT_CSS = """
    ResultPicker {
        LineList { height: auto; background: $surface; }
        .line-list--line { background: $surface; }
        .picker-empty { padding: 1 0; color: $muted; background: $surface; }
        .picker-path { margin-top: 1; background: $panel; color: $foreground; height: 1; }
        .picker-problem { color: $warning; height: 1; background: $surface; }
    }
    """

    def __init__(self, title: str, results: Sequence[Result], now: float) -> None:
        super().__init__(title)
        self._results = tuple(results)
        self._now = now

    def compose_content(self) -> Iterator[Widget]:
        if self._results:
            listed = LineList(self._line, len(self._results), classes="-picker")
            listed.styles.height = min(MOST_LINES, len(self._results))
            yield listed
        else:
            yield Static(Content(NO_RESULTS), classes="picker-empty")
        yield Input(placeholder="or a path, or a model's name", classes="picker-path", compact=True)
        yield Static(Content(), classes="picker-problem")

    def on_mount(self) -> None:
        self.query_one(LineList if self._results else Input).focus()

    def _line(self, index: int, width: int) -> Text:
        return result_line(self._results[index], width, inks_of(self.app.theme_variables), self._now)

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        problem = path_problem(event.value) if event.value.strip() else ""
        self.query_one(".picker-problem", Static).update(shown_line(problem))

    @on(Input.Submitted)
    def action_take(self) -> None:
        value = self.query_one(Input).value
        if value.strip() and not path_problem(value):
            self.dismiss(result_at(value))

    @on(LineList.Chosen)
    def chosen(self, message: LineList.Chosen) -> None:
        self.dismiss(self._results[message.index])


def result_line(result: Result, width: int, inks: Inks, now: float) -> Text:
    """Name, base model, best held-out loss, age."""
    name_width = max(12, width - 24 - 9 - 8)
    name = result.title if result.step is None else f"  checkpoint of step {result.step:,}"
    ink = inks.plain if result.step is None else inks.muted
    line = Text(one_line(name, name_width).ljust(name_width), style=ink, no_wrap=True)
    line.append(one_line(result.base_name, 22).ljust(24), style=inks.muted)
    line.append(f"{result.best_loss:9.3f}" if result.best_loss is not None else " " * 9, style=inks.plain)
    line.append((ago(result.updated, now).removesuffix(" ago") if result.updated else "").rjust(8), style=inks.muted)
    return line
