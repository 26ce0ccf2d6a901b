"""Chooses a file: go through folders, type to search, or type or paste a path or a hub id."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.errors import MachineError
from tui_tuner.places import is_file, is_folder
from tui_tuner.screens.data.file_entries import (
    DATA_SUFFIXES,
    FileEntry,
    entry_line,
    folder_entries,
    matching,
    typed_path,
)
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.widgets.line_list import LineList

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

LINES = 12


class FilePicker(Dialog[str | None]):
    """Answers with an absolute path, or with a hub id where `suffixes` are those of data."""

    HELP: ClassVar[str | None] = (
        "Type part of a name to search this folder. A text that begins with `/`, `~` or `./` is a path; "
        "`name/name` may be a data set on the Hugging Face hub. Enter opens a folder or takes a file."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take", priority=True, id="picker.take"),
        Binding("up", "move(-1)", "up", show=False, priority=True, id="picker.up"),
        Binding("down", "move(1)", "down", show=False, priority=True, id="picker.down"),
        Binding("pageup", "move(-10)", "up", show=False, priority=True, id="picker.page-up"),
        Binding("pagedown", "move(10)", "down", show=False, priority=True, id="picker.page-down"),
        Binding("ctrl+u", "parent", "folder above", priority=True, id="picker.parent"),
    ]
    DEFAULT_CSS = f"""
    FilePicker .picker-folder {{ height: 1; color: $muted; background: $surface; text-wrap: nowrap; }}
    FilePicker LineList {{ background: $surface; height: {LINES}; }}
    FilePicker .line-list--line {{ background: $surface; }}
    """

    class Listed(Message):
        """A folder was read."""

        def __init__(self, folder: Path, entries: tuple[FileEntry, ...], problem: str = "") -> None:
            self.folder = folder
            self.entries = entries
            self.problem = problem
            super().__init__()

    def __init__(self, title: str, folder: Path, suffixes: Sequence[str] = DATA_SUFFIXES) -> None:
        super().__init__(title)
        self._folder = folder
        self._suffixes = tuple(suffixes)
        self._entries: tuple[FileEntry, ...] = ()
        self._seen: tuple[FileEntry, ...] = ()

    def compose_content(self) -> Iterator[Widget]:
        yield Static(classes="picker-folder")
        hub = " or a hub id" if self._suffixes == DATA_SUFFIXES else ""
        yield Input(placeholder=f"type a name, a path{hub}", compact=True, classes="prompt-input")
        yield LineList(self._draw, name="picker", classes="-picker")
        yield Static(classes="prompt-problem")

    @property
    def tuner(self) -> "TunerApp":
        from tui_tuner.screens.app import TunerApp

        assert isinstance(self.app, TunerApp)
        return self.app

    @property
    def inks(self) -> Inks:
        return inks_of(self.app.theme_variables)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self._list(self._folder)

    @work(thread=True, exclusive=True, group="folder", exit_on_error=False)
    def _list(self, folder: Path) -> None:
        try:
            self.post_message(self.Listed(folder.resolve(), folder_entries(folder.resolve(), self._suffixes)))
        except MachineError as error:
            self.post_message(self.Listed(folder, (), error.message))

    def on_file_picker_listed(self, message: Listed) -> None:
        self.query_one(".prompt-problem", Static).update(shown_line(message.problem))
        if message.problem:
            return
        self._folder, self._entries = message.folder, message.entries
        self.query_one(".picker-folder", Static).update(shown_line(str(message.folder)))
        self._search()

    @on(Input.Changed)
    def typed(self) -> None:
        path = typed_path(self._text, self._folder)
        if path is not None and path[0] != self._folder and is_folder(path[0]):
            self._list(path[0])
        else:
            self._search()

    @property
    def _text(self) -> str:
        return self.query_one(Input).value

    def _search(self) -> None:
        path = typed_path(self._text, self._folder)
        name = path[1] if path is not None else self._text
        takes_hub = path is None and self._suffixes == DATA_SUFFIXES
        self._seen = matching(self._entries, name, takes_hub=takes_hub)
        listed = self.query_one(LineList)
        listed.redraw(len(self._seen))
        first = next((i for i, one in enumerate(self._seen) if one.kind != "up"), 0)
        listed.cursor = first
        nothing = "" if len(self._seen) > 1 or self._seen[:1] != self._entries[:1] else "no folders or data files here"
        self.query_one(".prompt-problem", Static).update(
            Content(nothing if self._seen else "nothing of that name here")
        )

    def _draw(self, index: int, width: int) -> Text:
        return entry_line(self._seen[index], width, self.tuner.glyphs, self.inks)

    def action_move(self, step: int) -> None:
        self.query_one(LineList).cursor += step

    def action_parent(self) -> None:
        self._enter(self._folder.parent)

    def on_line_list_chosen(self) -> None:
        self.action_take()

    def action_take(self) -> None:
        """What stands under the cursor; a path that was typed or pasted whole goes before it."""
        path = typed_path(self._text, self._folder)
        typed = path[0] / path[1] if path is not None else None
        if typed is not None and is_file(typed):
            self.dismiss(str(typed.resolve()))
            return
        cursor = self.query_one(LineList).cursor
        if cursor >= len(self._seen):
            return
        entry = self._seen[cursor]
        if entry.is_entered:
            self._enter(Path(entry.value))
        else:
            self.dismiss(entry.value)

    def _enter(self, folder: Path) -> None:
        field = self.query_one(Input)
        with self.prevent(Input.Changed):
            field.value = ""
        self._list(folder)
