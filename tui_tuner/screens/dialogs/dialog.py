"""The frame of every dialog: a titled box in the middle, keys in its last line, Escape leaves."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from tui_tuner.screens.widgets.key_bar import KeyBar

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A subclass gives `compose_content`; `leave` is the answer that Escape gives, the one that changes nothing."""

    # In full: Textual looks beside the file of the class that is opened.
    CSS_PATH = str(Path(__file__).with_name("dialogs.tcss"))
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", id="dialog.leave")]

    def __init__(self, title: str, leave: Answer | None = None, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._title = title
        self._leave = leave

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = Content(self._title)
            yield from self.compose_content()
            yield KeyBar()

    def compose_content(self) -> Iterator[Widget]:
        """What is between the title and the keys."""
        raise NotImplementedError

    def action_leave(self) -> None:
        self.dismiss(self._leave)
