"""Asks before something is lost. The safe answer has the focus, and the text names the thing."""

from collections.abc import Iterator
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from tui_tuner.safe_text import visible
from tui_tuner.screens.dialogs.dialog import Dialog


class Choose(Dialog[str]):
    """A question with two or three answers; the first is the safe one, and what Escape gives."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,shift+tab", "app.focus_previous", "other answer", show=False, id="dialog.previous"),
        Binding("right,l,tab", "app.focus_next", "other answer", id="dialog.next"),
    ]

    def __init__(self, title: str, text: str, answers: tuple[str, ...]) -> None:
        super().__init__(title, leave=answers[0])
        self._text = text
        self._answers = answers

    def compose_content(self) -> Iterator[Widget]:
        yield Static(Content(visible(self._text)), classes="dialog-text")
        with Horizontal(classes="dialog-answers"):
            for number, answer in enumerate(self._answers):
                yield Button(Content(answer), id=f"answer-{number}", classes="answer", compact=True)

    def on_mount(self) -> None:
        self.query_one("#answer-0", Button).focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        self.dismiss(self._answers[int(str(event.button.id).removeprefix("answer-"))])


class Confirm(Dialog[bool]):
    """Yes or no: `y`, `n`, or the buttons."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="dialog.yes"),
        Binding("n", "answer(False)", "no", id="dialog.no"),
        Binding("left,right,h,l,tab,shift+tab", "app.focus_next", "other answer", show=False, id="dialog.other"),
    ]

    def __init__(self, title: str, text: str, yes: str = "Yes", no: str = "No") -> None:
        super().__init__(title, leave=False)
        self._text = text
        self._words = (no, yes)

    def compose_content(self) -> Iterator[Widget]:
        yield Static(Content(visible(self._text)), classes="dialog-text")
        with Horizontal(classes="dialog-answers"):
            yield Button(Content(self._words[0]), id="no", classes="answer", compact=True)
            yield Button(Content(self._words[1]), id="yes", classes="answer -loses", compact=True)

    def on_mount(self) -> None:
        self.query_one("#no", Button).focus()

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")
