"""The last line but one: what follows from the present choices. A change of a number is marked for a moment."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget


class Readout(Widget):
    """One line of `content`, cut at the right with "…"."""

    can_focus = False
    content: reactive[Content] = reactive(Content)

    def render(self) -> Content:
        return Content(" ") + self.content
