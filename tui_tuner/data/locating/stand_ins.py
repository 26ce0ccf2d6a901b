"""Stand-ins: short texts put in the place of contents, so that a rendering shows what a template puts around them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui_tuner.data.rows import Message, Tools
from tui_tuner.data.turn_endings import TurnEndings
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

STAND_IN = "qzstandin"
"""Letters only: trimming, escaping and splitting leave it alone."""
QUESTION = Message(role="user", content="a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """The literal texts that a template puts around the contents of plain messages with the same roles."""

    literals: tuple[str, ...]
    order: tuple[int, ...]
    """Index of the message between each two literals."""
    endings: dict[int, int]
    """Length of the ending behind each assistant message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentSpan:
    """Where the content of a message stands in a text, and where the literal text before it begins."""

    literal_start: int
    start: int
    end: int


def stand_in_for(messages: Sequence[Message], number: int = 0) -> str:
    """A text that none of the messages holds."""
    everything = repr([message.as_fields() for message in messages])
    name = STAND_IN
    while name in everything:
        name += "q"
    return f"{name}{number}x"


def split_at(text: str, stand_in: str, repeated: str | None = None) -> tuple[str, str] | None:
    """What stands before and behind the stand-in; None unless it occurs exactly once.

    With `repeated` it may come again, and is that text there.
    """
    before, _, after = text.partition(stand_in)
    if stand_in not in text or (stand_in in after and repeated is None):
        return None
    return before, after if repeated is None else after.replace(stand_in, repeated)


def build_skeleton(template: "ChatTemplate", endings: TurnEndings, roles: Sequence[str]) -> Skeleton | None:
    """Render stand-ins for all contents; None where the template refuses or repeats them."""
    messages = [Message(role=role, content=f"{STAND_IN}{number}x") for number, role in enumerate(roles)]
    try:
        text = template.render(messages)
        lengths = {
            index: _ending(template, endings, messages, text, index)
            for index, role in enumerate(roles)
            if role == "assistant"
        }
    except DataError:
        return None  # the same template will say why when it meets the row itself
    found = sorted((text.find(str(message.content)), index) for index, message in enumerate(messages))
    order = tuple(index for position, index in found if position >= 0)
    literals = []
    for index in order:
        parts = split_at(text, str(messages[index].content))
        if parts is None:
            return None
        literals.append(parts[0])
        text = parts[1]
    if not all(literals[1:]) or None in lengths.values():
        return None
    known = {index: length for index, length in lengths.items() if length is not None}
    return Skeleton(literals=(*literals, text), order=order, endings=known)


def find_contents(skeleton: Skeleton, messages: Sequence[Message], text: str) -> dict[int, ContentSpan] | None:
    """Contents of a text that is exactly the skeleton with the contents filled in, trimmed or as they are."""
    if not text.startswith(skeleton.literals[0]):
        return None
    spans = {}
    literal_start, position = 0, len(skeleton.literals[0])
    for index, literal in zip(skeleton.order, skeleton.literals[1:], strict=True):
        content = str(messages[index].content)
        for variant in (content, content.strip(), content.rstrip(), content.lstrip()):
            end = position + len(variant)
            if text.startswith(variant, position) and text.startswith(literal, end):
                break
        else:
            return None
        spans[index] = ContentSpan(literal_start=literal_start, start=position, end=end)
        literal_start, position = end, end + len(literal)
    return spans if position == len(text) else None


def splice(messages: Sequence[Message], index: int, message: Message) -> tuple[Message, ...]:
    """The messages with one of them replaced."""
    return (*messages[:index], message, *messages[index + 1 :])


def render_around(
    template: "ChatTemplate",
    messages: Sequence[Message],
    tools: Tools,
    stand_in: str,
    *,
    add_generation_prompt: bool = False,
    repeated: str | None = None,
) -> tuple[str, str] | None:
    """Text before and behind the stand-in; None where the template refuses the messages or loses the stand-in."""
    try:
        return split_at(template.render(messages, tools, add_generation_prompt), stand_in, repeated)
    except DataError:
        return None


def _ending(
    template: "ChatTemplate", endings: TurnEndings, messages: Sequence[Message], text: str, index: int
) -> int | None:
    content = str(messages[index].content)
    around = split_at(text, content)
    if around is None:
        return None
    if index == len(messages) - 1:
        followed = render_around(template, (*messages, QUESTION), None, content)
        return endings.after_reply(around[1], endings.other_tail(around[1], followed[1] if followed else ""))
    as_last = split_at(template.render(messages[: index + 1]), content)
    return endings.after_reply(around[1], as_last[1]) if as_last else None
