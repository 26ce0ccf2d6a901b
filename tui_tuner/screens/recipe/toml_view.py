"""Shows the TOML that a draft is written as; `y` copies it."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.shown import shown

MAX_LENGTH = 20_000
EMPTY = "# nothing differs from the defaults yet"


class TomlView(Dialog[None]):
    """Only what differs from the defaults is written, so the file stays short."""

    HELP: ClassVar[str | None] = (
        "The recipe as a file: `tuner train FILE` runs it. Only what differs from the defaults is in it."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy", "copy", id="copy"),
        Binding("v", "leave", "close", show=False, id="toml.close"),
    ]

    def __init__(self, text: str) -> None:
        super().__init__("The recipe as TOML")
        self._text = text

    def compose_content(self) -> Iterator[Widget]:
        with VerticalScroll(classes="dialog-scroll"):
            yield Static(shown(self._text.strip() or EMPTY, limit=MAX_LENGTH))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        from tui_tuner.screens.terminal.clipboard import copy_text

        copy_text(self.app, self._text)
