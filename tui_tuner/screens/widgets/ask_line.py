"""One line of input inside a panel, with what it is for before it and what is wrong under it."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.screens.shown import shown_line

Judge = Callable[[str], str]
"""What a text would do, or what is wrong with it: one line. A line that starts with "!" is a problem."""
PROBLEM = "!"


class AskLine(Widget):
    """Hidden until `ask`; posts `Changed` while it is typed in, and once `Answered` or `Left`."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", id="ask.leave")]
    DEFAULT_CSS = """
    AskLine {
        height: auto; dock: bottom; display: none; layout: vertical; background: $surface;
        .ask-title { height: auto; max-height: 2; color: $you; text-style: bold; background: $surface; }
        .ask-input { height: 1; background: $panel; color: $foreground; }
        .ask-line { height: 1; color: $muted; background: $surface; text-wrap: nowrap; text-overflow: ellipsis; }
        .ask-line.-wrong { color: $error; }
    }
    AskLine.-open { display: block; }
    """

    class Changed(Message):
        """Another text stands there."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Answered(Changed):
        """The text was taken."""

    class Left(Message):
        """Nothing is to be changed."""

    def __init__(self) -> None:
        super().__init__()
        self._judge: Judge = lambda _text: ""
        self._before: Widget | None = None

    def compose(self) -> ComposeResult:
        yield from self._parts()

    def _parts(self) -> Iterator[Widget]:
        yield Static(classes="ask-title")
        yield Input(compact=True, classes="ask-input")
        yield Static(classes="ask-line")

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    def ask(self, title: str, value: str, judge: Judge) -> None:
        """Open with a text to change; the focus comes back to where it was."""
        self._judge = judge
        self._before = self.screen.focused
        self.query_one(".ask-title", Static).update(shown_line(title))
        self.add_class("-open")
        field = self.query_one(Input)
        field.value = value
        field.cursor_position = len(value)
        field.focus()
        self._show(judge(value))

    def close(self) -> None:
        self.remove_class("-open")
        if self._before is not None:
            self._before.focus()

    @on(Input.Changed)
    def changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._show(self._judge(event.value))
            self.post_message(self.Changed(event.value))

    @on(Input.Submitted)
    def submitted(self, event: Input.Submitted) -> None:
        event.stop()
        said = self._judge(event.value)
        self._show(said)
        if not said.startswith(PROBLEM):
            self.close()
            self.post_message(self.Answered(event.value))

    def action_leave(self) -> None:
        self.close()
        self.post_message(self.Left())

    def _show(self, said: str) -> None:
        line = self.query_one(".ask-line", Static)
        line.set_class(said.startswith(PROBLEM), "-wrong")
        line.update(shown_line(said) if said else Content())
