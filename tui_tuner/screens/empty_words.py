"""What stands in a panel that has nothing to show yet: why it is empty, and the keys that change that."""

import re

from textual.content import Content

_KEY_LINE = re.compile(r"(\S{1,6}) {2,}(\S.*)")
KEY_WIDTH = 4


def empty_words(text: str) -> Content:
    """The first line says why; a line that begins with a key and two blanks says what the key does."""
    head, *rest = text.split("\n")
    return Content("\n").join([Content.styled(head, "bold"), *map(_line, rest)])


def _line(line: str) -> Content:
    found = _KEY_LINE.fullmatch(line)
    if found is None:
        return Content.styled(line, "$muted")
    return Content.styled(f"{found[1]:<{KEY_WIDTH}}", "bold $you") + Content(found[2])
