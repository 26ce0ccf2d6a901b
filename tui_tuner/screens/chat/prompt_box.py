"""Where a question is typed: Enter sends, Ctrl-N begins a new line, pasted text keeps its lines."""

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from tui_tuner.safe_text import visible


class PromptBox(TextArea, inherit_bindings=False):
    """Grows with its text, up to a few lines."""

    HELP = """\
Type a question; Enter sends it to both sides. Escape stops the answers, and then leaves this line, so that the keys
`1` to `8`, `u` and `q` work again; Tab comes back."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "send", id="chat.send"),
        Binding("ctrl+n", "new_line", "new line", id="chat.line"),
        Binding("up", "cursor_up", "up", show=False),
        Binding("down", "cursor_down", "down", show=False),
        Binding("left", "cursor_left", "left", show=False),
        Binding("right", "cursor_right", "right", show=False),
        Binding("ctrl+left", "cursor_word_left", "a word left", show=False),
        Binding("ctrl+right", "cursor_word_right", "a word right", show=False),
        Binding("home", "cursor_line_start", "start of the line", show=False),
        Binding("end,ctrl+e", "cursor_line_end", "end of the line", show=False),
        Binding("backspace", "delete_left", "delete left", show=False),
        Binding("delete", "delete_right", "delete right", show=False),
        Binding("ctrl+w,alt+backspace", "delete_word_left", "delete a word", show=False),
        Binding("ctrl+u", "delete_to_start_of_line", "delete to the start", show=False),
        Binding("ctrl+k", "delete_to_end_of_line", "delete to the end", show=False),
        Binding("ctrl+y", "redo", "redo", show=False),
    ]

    class Sent(Message):
        """A question is to be asked."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    def __init__(self) -> None:
        super().__init__(compact=True, tab_behavior="focus", classes="prompt-box", placeholder="Ask both sides…")

    def on_key(self, event: events.Key) -> None:
        # TextArea would take Enter for a new line.
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.action_send()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert(visible(event.text.replace("\r\n", "\n").replace("\r", "\n")))

    def action_send(self) -> None:
        self.post_message(self.Sent(self.text))

    def action_new_line(self) -> None:
        self.insert("\n")
