"""A list that stays fluent at a million lines: only what is visible is ever rendered."""

from collections.abc import Callable
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

Line = Callable[[int, int], Text]
"""Draws line `index` (from 0) for `width` cells."""


class LineList(ScrollView, inherit_bindings=False):
    """`count` lines drawn by `draw`, with a cursor. The text of a line must have passed `shown` or `visible`."""

    can_focus = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--cursor", "line-list--line"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "up", show=False, id="list.up"),
        Binding("down,j", "move(1)", "down", show=False, id="list.down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="list.page-up"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, id="list.page-down"),
        Binding("home,g", "first", "first", show=False, id="list.first"),
        Binding("end,G", "last", "last", show=False, id="list.last"),
        Binding("enter", "choose", "open", show=False, id="list.choose"),
    ]
    cursor: reactive[int] = reactive(0)
    count: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, line_list: "LineList", index: int) -> None:
            self.line_list = line_list
            self.index = index
            super().__init__()

        @property
        def control(self) -> "LineList":
            return self.line_list

    class Chosen(Moved):
        """A line was opened."""

    def __init__(self, draw: Line, count: int = 0, *, name: str = "", classes: str = "", opens: str = "") -> None:
        """`opens` says what Enter does, where it does something."""
        super().__init__(id=name or None, classes=classes)
        self.key_labels = {"list.choose": opens}
        self._draw = draw
        self.set_reactive(LineList.count, count)

    def on_mount(self) -> None:
        self._measure()

    def on_resize(self) -> None:
        self._measure()

    def watch_count(self) -> None:
        self._measure()
        self.cursor = min(self.cursor, max(0, self.count - 1))

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        self.refresh_lines(before, 1)
        self.refresh_lines(now, 1)
        self.scroll_to_region(Region(0, now, 1, 1), animate=False, force=True)
        self.post_message(self.Moved(self, now))

    def redraw(self, count: int | None = None) -> None:
        """Draw anew; call it when the lines changed."""
        if count is not None and count != self.count:
            self.count = count
        self.refresh()

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        is_cursor = index == self.cursor and self.count > 0
        part = "line-list--cursor" if is_cursor and (self.has_focus or self.is_picker) else "line-list--line"
        style = self.get_component_rich_style(part)
        if index >= self.count:
            return Strip.blank(width, self.rich_style)
        line = self._draw(index, width)
        line.truncate(width, overflow="ellipsis", pad=True)
        if not line.spans:
            line.stylize(line.style)  # rich drops the style of a text that has no spans
        segments = [one for one in line.render(self.app.console) if one.text != "\n"] or [Segment(" " * width)]
        if style.reverse:  # each colour of its own, turned round, would be a patchwork
            segments = [Segment(one.text) for one in segments]
        return Strip(segments).apply_style(style)

    @property
    def is_picker(self) -> bool:
        """Whether the cursor stays lit without focus."""
        return self.has_class("-picker")

    def action_move(self, step: int) -> None:
        self.cursor += step

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self.size.height - 1)

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = self.count - 1

    def action_choose(self) -> None:
        if self.count:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if index < self.count:
            is_second = index == self.cursor and event.chain > 1
            self.cursor = index
            if is_second:
                self.action_choose()

    def _measure(self) -> None:
        self.virtual_size = Size(self.size.width, self.count)
