"""One side of the conversation: scrolls, follows what is written, and wraps only what changed."""

from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui_tuner.screens.chat.answer_lines import exchange_lines
from tui_tuner.screens.chat.talk import Conversation, Exchange, Place
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import inks_of


class Transcript(ScrollView, inherit_bindings=False):
    """Shows what `show` gives it; stays at the end unless a person scrolled up."""

    can_focus = True
    HELP = """\
One side of the conversation. Both sides get the same question, settings and seed; each remembers its own answers.

**tok/s** counts this side's own time: the sides take turns on one model, the adapter switched on and off.

**ended**: the model ended its turn by itself; **cut**: `max tokens` did; **stopped**: you did."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "up", show=False, id="chat.up"),
        Binding("down,j", "scroll_down", "down", show=False, id="chat.down"),
        Binding("pageup,ctrl+u", "page_up", "page up", show=False, id="chat.page-up"),
        Binding("pagedown,ctrl+d", "page_down", "page down", show=False, id="chat.page-down"),
        Binding("home,g", "scroll_home", "first", show=False, id="chat.first"),
        Binding("end,G", "scroll_end", "last", show=False, id="chat.last"),
        Binding("y", "copy", "copy answer", id="chat.copy"),
    ]

    class CopyWanted(Message):
        """The last answer of this side is to be copied."""

        def __init__(self, place: Place) -> None:
            self.place = place
            super().__init__()

    def __init__(self, place: Place, glyphs: Glyphs) -> None:
        super().__init__(classes=f"panel transcript -{place}")
        self._place: Place = place
        self._glyphs = glyphs
        self._conversation = Conversation()
        self._lines: list[Text] = []
        self._settled: dict[int, tuple[Exchange, list[Text]]] = {}
        self._drawn_width = 0

    def show(self, conversation: Conversation, glyphs: Glyphs) -> None:
        self._conversation, self._glyphs = conversation, glyphs
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return True if action != "copy" or self._conversation.exchanges else None

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        width = self.scrollable_content_region.width
        if width <= 0:
            return
        was_at_end = self.scroll_offset.y >= self.max_scroll_y - 1
        if width != self._drawn_width:
            self._settled.clear()
            self._drawn_width = width
        numbers = {one.number for one in self._conversation.exchanges}
        self._settled = {number: kept for number, kept in self._settled.items() if number in numbers}
        self._lines = [line for one in self._conversation.exchanges for line in self._lines_of(one, width)]
        self.virtual_size = Size(width, len(self._lines))
        if was_at_end:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    def _lines_of(self, exchange: Exchange, width: int) -> list[Text]:
        kept = self._settled.get(exchange.number)
        if kept is not None and kept[0] is exchange:
            return kept[1]
        lines = exchange_lines(exchange, self._place, width, self._glyphs, inks_of(self.app.theme_variables))
        self._settled[exchange.number] = (exchange, lines)
        return lines

    def render_line(self, y: int) -> Strip:
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if index >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[index].copy()
        line.truncate(width, pad=True)
        line.stylize_before(line.style)
        segments = [one for one in line.render(self.app.console) if one.text != "\n"]
        return Strip(segments or [Segment(" " * width)]).apply_style(self.rich_style)

    def action_copy(self) -> None:
        self.post_message(self.CopyWanted(self._place))
