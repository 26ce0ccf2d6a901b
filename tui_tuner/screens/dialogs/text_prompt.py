"""Asks for one line of text: a path, a name, a number."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.safe_text import visible
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.shown import shown_line


class TextPrompt(Dialog[str | None]):
    """`problem_of` says what is wrong with a text, or nothing; it stays until the text is right."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "take it", id="prompt.take")]

    def __init__(
        self, title: str, value: str = "", hint: str = "", problem_of: Callable[[str], str] | None = None
    ) -> None:
        super().__init__(title)
        self._value = value
        self._hint = hint
        self._problem_of = problem_of or (lambda _text: "")

    def compose_content(self) -> Iterator[Widget]:
        if self._hint:
            yield Static(Content(visible(self._hint)), classes="dialog-text muted")
        yield Input(self._value, classes="prompt-input", compact=True)
        yield Static(Content(), classes="prompt-problem")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Changed)
    def check(self, event: Input.Changed) -> None:
        problem = self._problem_of(event.value)
        self.query_one(".prompt-problem", Static).update(shown_line(problem))

    @on(Input.Submitted)
    def action_submit(self) -> None:
        value = self.query_one(Input).value
        if not self._problem_of(value):
            self.dismiss(value)
