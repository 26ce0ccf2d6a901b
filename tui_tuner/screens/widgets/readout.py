"""The last line but one: what follows from the present choices. What does not fit is left out, last things first."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

SEPARATORS = (" · ", "  - ")
"""Between parts: with two blanks or one, and in ASCII."""


class Readout(Widget):
    """One line of `content`. Parts with a dot between them are whole or not there; the first may end in "…"."""

    can_focus = False
    content: reactive[Content] = reactive(Content)

    def render(self) -> Content:
        return fitting(Content(" ") + self.content, self.size.width)


def fitting(line: Content, width: int) -> Content:
    """The line without the parts that have no room, from the right."""
    while line.cell_length > width:
        end = max(line.plain.rfind(sign) for sign in SEPARATORS)
        if end <= 0:
            return line
        line = line[:end]
    return line
