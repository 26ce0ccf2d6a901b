"""Where each assistant turn stands in a rendered conversation: the characters that the model itself must write.

Found by rendering, never by searching marker strings: the prompt before a turn says where it begins, and a rendering
with a stand-in for its reply says where it ends. What cannot be located with certainty is a `RowFault`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from tui_tuner.data.locating.reply_ends import ReplyEnds
from tui_tuner.data.locating.stand_ins import (
    Skeleton,
    build_skeleton,
    find_contents,
    render_around,
    splice,
    stand_in_for,
)
from tui_tuner.data.locating.turn_row import FoundReply, TurnRow, answer_of, own_text
from tui_tuner.data.locating.turn_starts import TurnStarts, endings_under
from tui_tuner.data.rows import Conversation, Message
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.turn_endings import TurnEndings
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate, Rendered


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSpan:
    """Characters [start, end) of the rendered text that one assistant turn trains."""

    message: int
    """Index of the message."""
    start: int
    end: int
    """Behind the end-of-turn token."""
    reply_end: int
    """Before the end-of-turn token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedTurns:
    """A rendered conversation and its assistant turns, in order."""

    text: str
    turns: tuple[TurnSpan, ...]


class TurnLocator:
    """Locates turns under one template. Keeps the skeleton of each sequence of roles that it has met."""

    def __init__(self, template: "ChatTemplate", endings: TurnEndings) -> None:
        self._template = template
        self._endings = endings_under(template, endings)
        self._skeletons: dict[tuple[str, ...], Skeleton | None] = {}
        self._starts = TurnStarts(template, self._endings)
        self._ends = ReplyEnds(template, self._endings)

    def locate(self, conversation: Conversation) -> LocatedTurns:
        """Render a conversation and find its assistant turns.

        Raises:
            RowFault: the template refuses it, or a turn cannot be located with certainty.
        """
        messages, tools = conversation.messages, conversation.tools
        try:
            rendered = self._template.render_marked(messages, tools)
            replies = self._plain_replies(conversation, rendered.text)
            spans = [
                self._span(TurnRow(messages=messages, tools=tools, index=index, text=rendered.text), replies.get(index))
                for index, message in enumerate(messages)
                if message.role == "assistant"
            ]
        except DataError as error:
            raise RowFault(error.message.rstrip(".")) from error
        for one, other in pairwise(spans):
            if one.end > other.start:
                raise RowFault(f"the template writes turn {other.message + 1} into turn {one.message + 1}")
        return LocatedTurns(text=rendered.text, turns=tuple(self._narrowed(span, rendered) for span in spans))

    def _plain_replies(self, conversation: Conversation, text: str) -> dict[int, FoundReply]:
        """Replies of a conversation that is its skeleton filled in; empty where it is more than that."""
        messages = conversation.messages
        if conversation.tools is not None or not all(message.is_plain for message in messages):
            return {}
        roles = tuple(message.role for message in messages)
        if roles not in self._skeletons:
            self._skeletons[roles] = build_skeleton(self._template, self._endings, roles)
        skeleton = self._skeletons[roles]
        spans = find_contents(skeleton, messages, text) if skeleton is not None else None
        if skeleton is None or spans is None:
            return {}
        return {
            index: FoundReply(
                end=span.end, turn_end=span.end + skeleton.endings[index], header=(span.literal_start, span.start)
            )
            for index, span in spans.items()
            if index in skeleton.endings
        }

    def _span(self, turn: TurnRow, reply: FoundReply | None) -> TurnSpan:
        if reply is not None:
            return self._shown_span(turn, reply)
        fault = RowFault(f"the reply in turn {turn.number} cannot be located in the rendered text")
        for number, candidate in enumerate(self._ends.candidates(turn)):
            try:
                span = self._shown_span(turn, candidate)
                self._check_borders(turn, span)
            except RowFault as error:
                fault = fault if number else error
                continue
            return span
        raise fault

    def _shown_span(self, turn: TurnRow, reply: FoundReply) -> TurnSpan:
        start = self._starts.of(turn, reply)
        span = TurnSpan(message=turn.index, start=start, end=reply.turn_end, reply_end=reply.end)
        if not _is_shown(turn.message, turn.text[span.start : span.end]):
            raise RowFault(f"the template drops or changes the reply in turn {turn.number}")
        return span

    def _check_borders(self, turn: TurnRow, span: TurnSpan) -> None:
        """Refuse templates that mix turns: a tool's result inside the turn of the call, a turn closed in its middle."""
        written = self._endings.without_stop(turn.text[span.start : span.end])
        own = own_text(turn.message)
        if any(written.count(stop) > own.count(stop) for stop in self._endings.stops):
            raise RowFault(f"the template closes turn {turn.number} before its end")
        stand_in = stand_in_for(turn.messages)
        answer = answer_of(turn.message)
        if answer and answer not in written and self._shows_content(turn, stand_in):
            raise RowFault(f"the template writes turn {turn.number} in two places")
        if turn.is_last:
            return
        following = replace(turn.messages[turn.number], content=stand_in)
        around = render_around(self._template, splice(turn.messages, turn.number, following), turn.tools, stand_in)
        if around is not None and len(around[0]) < span.end:
            raise RowFault(f"the template writes turn {turn.number + 1} into turn {turn.number}")

    def _shows_content(self, turn: TurnRow, stand_in: str) -> bool:
        messages = splice(turn.messages, turn.index, replace(turn.message, content=stand_in))
        return render_around(self._template, messages, turn.tools, stand_in) is not None

    def _narrowed(self, span: TurnSpan, rendered: "Rendered") -> TurnSpan:
        """Keep to what the template itself marks as generated; its marks may take in a header or miss the ending."""
        marks = [(start, end) for start, end in rendered.generated if start < span.end and end > span.start]
        if not marks:
            return span
        latest = marks[-1][1]
        is_ending = not self._endings.unsplit.sub("", rendered.text[latest : span.end]).strip()
        end = span.end if latest >= span.reply_end or is_ending else latest
        return replace(span, start=max(span.start, marks[0][0]), end=end)


def _is_shown(message: Message, text: str) -> bool:
    """Whether the names of all tool calls, or else the answer, are in the text. Thoughts may be taken out.

    What a template leaves out of the two is for the audit to tell: the other is still what the model has to write.
    """
    functions = [call["function"] for call in message.tool_calls or ()]
    names = [str(function["name"]) for function in functions if isinstance(function, Mapping)]
    answer = answer_of(message)
    if not names:
        return answer in text and bool(text.strip())
    return all(name in text for name in names) or (bool(answer) and answer in text)
