"""The panel of lengths: a histogram, a line that moves, and what the length at the line takes."""

from typing import ClassVar

from rich.console import Group, RenderableType
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tui_tuner.screens.data.labels import Labels
from tui_tuner.screens.data.lengths import Scale, histogram_lines, length_words, nudged, words_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import inks_of
from tui_tuner.units import count, percent

LEAST_LENGTH = 8


class LengthsPanel(Widget):
    """`labels` and `cutoff` are what it draws. Posts `Moved` when the line moves and `Set` when it is to hold."""

    can_focus = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "set", "set max length", id="lengths.set"),
        Binding("left,h", "nudge(-1)", "shorter", show=False, id="lengths.shorter"),
        Binding("right,l", "nudge(1)", "longer", show=False, id="lengths.longer"),
        Binding("escape", "reset", "put back", show=False, id="lengths.reset"),
    ]
    labels: reactive[Labels | None] = reactive(None)
    cutoff: reactive[int | None] = reactive(None)
    """Where a person moved the line to; None where it stands at the max length in force."""

    class Moved(Message):
        """The line stands elsewhere."""

    class Set(Message):
        """The max length is to be that of the line."""

        def __init__(self, length: int) -> None:
            self.length = length
            super().__init__()

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(classes="panel lengths")
        self._glyphs = glyphs

    @property
    def line(self) -> int | None:
        """The length at the line; None where nothing is known."""
        if self.cutoff is not None:
            return self.cutoff
        labels = self.labels
        if labels is None or labels.counted is None:
            return None
        return labels.settled_length or labels.counted.histogram.longest or None

    def nudge(self, direction: int) -> None:
        """Move the line one step."""
        line = self.line
        if line is not None:
            self.cutoff = max(LEAST_LENGTH, nudged(line, direction))

    def action_nudge(self, direction: int) -> None:
        self.nudge(direction)

    def action_set(self) -> None:
        if self.line is not None:
            self.post_message(self.Set(self.line))

    def action_reset(self) -> None:
        self.cutoff = None

    def watch_cutoff(self) -> None:
        self._entitle()
        self.post_message(self.Moved())

    def watch_labels(self) -> None:
        self._entitle()

    def on_click(self, event: events.Click) -> None:
        labels, line = self.labels, self.line
        width = self.content_size.width
        if labels is not None and labels.counted is not None and line is not None and width:
            scale = Scale.of(labels.counted.histogram.reach(line), width)
            self.cutoff = max(LEAST_LENGTH, scale.length(event.x - self.gutter.left))

    def render(self) -> RenderableType:
        labels, line = self.labels, self.line
        if labels is None or labels.counted is None or line is None or not labels.counted.histogram.longest:
            return Text("")
        inks = inks_of(self.app.theme_variables)
        width, height = self.content_size
        size = (width, max(2, height - 1))
        lines = histogram_lines(labels.counted.histogram, line, size, self._glyphs, inks)
        at = labels.at_length(line)
        words = words_line(length_words(at, self._glyphs), width, self._glyphs, inks) if at else Text("")
        return Group(*lines, words)

    def help_text(self) -> str:
        """What the numbers mean, with those of now."""
        labels, line = self.labels, self.line
        text = HELP_WORDS
        at = labels.at_length(line) if labels is not None and line is not None else None
        if at is not None:
            text += (
                f"\n\nAt **{count(at.max_length)}** tokens, {count(at.rows_longer)} of {count(at.num_rows)} rows are "
                f"longer, and {'at least ' if at.is_least else ''}{percent(at.share_kept)} of the trained tokens stay."
            )
        return text

    def _entitle(self) -> None:
        labels, line = self.labels, self.line
        if labels is None or labels.counted is None or line is None:
            self.border_title, self.border_subtitle = Content("Lengths"), Content("")
            return
        spread = labels.counted.histogram
        figures = f"p50 {count(spread.p50)} · p99 {count(spread.p99)} · longest {count(spread.longest)}"
        self.border_title = Content(f"Lengths · {figures}")
        enter = "Enter" if self._glyphs.name == "ascii" else "⏎"
        moved = self.cutoff is not None and self.cutoff != labels.settled_length
        hint = f"{enter} sets {count(line)}, esc puts back" if moved else f"max length {count(line)}  - + moves it"
        self.border_subtitle = Content(hint)


HELP_WORDS = """\
How many rows there are of each length, in tokens. The line is `data.max_length`: longer rows are dealt with as
`data.over_length` says, so that memory and time stay bounded. `-` and `+` move it and show at once what it takes;
Enter makes it the recipe's, `u` undoes that.

**answers cut** are rows in which an answer would break off in its middle, which teaches the model to break off.
Where rows lose their oldest turns instead, no answer is cut; how much stays is known once they are rendered anew."""
