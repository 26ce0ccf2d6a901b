"""Asks to choose one of several lines. Escape chooses none of them."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.safe_text import visible
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.widgets.line_list import LineList

MOST_LINES = 10


class Pick(Dialog[int | None]):
    """Answers with the number of the line. `explain` says more of the line under the cursor, below the list."""

    HELP: ClassVar[str | None] = "Move with the arrow keys, take a line with Enter, leave with Escape."
    DEFAULT_CSS = """
    Pick .pick-note { height: auto; max-height: 7; color: $muted; background: $surface; padding: 1 0; }
    Pick LineList { background: $surface; height: auto; }
    Pick .line-list--line { background: $surface; }
    """

    def __init__(self, title: str, lines: Sequence[Text], at: int = 0, notes: Sequence[str | Text] = ()) -> None:
        super().__init__(title)
        self._lines = tuple(lines)
        self._at = at
        self._notes = tuple(notes)

    def compose_content(self) -> Iterator[Widget]:
        listed = LineList(lambda index, _width: self._lines[index].copy(), len(self._lines))
        listed.styles.height = min(MOST_LINES, max(1, len(self._lines)))
        yield listed
        yield Static(classes="pick-note")

    def on_mount(self) -> None:
        listed = self.query_one(LineList)
        listed.cursor = self._at
        listed.focus()
        self._explain(listed.cursor)

    def on_line_list_moved(self, message: LineList.Moved) -> None:
        self._explain(message.index)

    def on_line_list_chosen(self, message: LineList.Chosen) -> None:
        self.dismiss(message.index)

    def _explain(self, index: int) -> None:
        note = self._notes[index] if index < len(self._notes) else ""
        self.query_one(".pick-note", Static).update(Content(visible(note)) if isinstance(note, str) else note)
