"""Says what failed, why, and what to do; `y` copies it all. Where a key mends it, that key works here too."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.errors import RecipeError, TunerError
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.shown import shown

MAX_DETAIL = 8000


class ProblemDialog(Dialog[bool]):
    """`detail` is text that helps to find the cause: the last lines of a log, a traceback.

    `again` is what `r` does about it, in a word, where it does something: the dialog then answers with true.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "leave", "close", id="problem.close"),
        Binding("r", "again", "again", id="problem.again"),
        Binding("y", "copy", "copy", id="copy"),
    ]

    def __init__(self, title: str, what: str, to_do: str = "", detail: str = "", again: str = "") -> None:
        super().__init__(title, leave=False, classes="-problem")
        self.key_labels = {"problem.again": again}
        self.what = what
        self.to_do = to_do
        self.detail = detail

    @classmethod
    def of(cls, title: str, error: TunerError) -> "ProblemDialog":
        if isinstance(error, RecipeError):
            return cls(title, "\n".join(str(problem) for problem in error.problems), error.hint)
        return cls(title, error.message, error.hint)

    def compose_content(self) -> Iterator[Widget]:
        with VerticalScroll(classes="dialog-scroll"):
            yield Static(shown(self.what), classes="problem-what")
            if self.to_do:
                yield Static(Content("what to do"), classes="problem-head")
                yield Static(shown(self.to_do))
            if self.detail:
                yield Static(Content("last lines"), classes="problem-head")
                yield Static(shown(self.detail, limit=MAX_DETAIL), classes="problem-detail")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return action != "again" or bool(self.key_labels["problem.again"])

    def action_again(self) -> None:
        self.dismiss(True)

    def action_copy(self) -> None:
        from tui_tuner.screens.terminal.clipboard import copy_text

        copy_text(self.app, "\n\n".join(part for part in (self.what, self.to_do, self.detail) if part))
