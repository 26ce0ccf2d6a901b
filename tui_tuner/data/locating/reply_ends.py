"""Where a reply and its turn end: a stand-in in the place of the reply, or within its call, shows what follows it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tui_tuner.data.locating.call_stand_ins import calls_with
from tui_tuner.data.locating.stand_ins import QUESTION, render_around, splice, stand_in_for
from tui_tuner.data.locating.turn_row import FoundReply, TurnRow
from tui_tuner.data.rows import Message
from tui_tuner.data.turn_endings import TurnEndings, shared_prefix
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate


class ReplyEnds:
    """Ends of replies under one template."""

    def __init__(self, template: "ChatTemplate", endings: TurnEndings) -> None:
        self._template = template
        self._endings = endings

    def candidates(self, turn: TurnRow) -> Iterator[FoundReply]:
        """Where the reply may end, likeliest first; a template that mixes turns is misread by some of the ways."""
        yield from self._replaced_reply(turn)
        yield from self._finished_reply(turn)
        yield from self._replaced_call(turn)

    def _replaced_reply(self, turn: TurnRow) -> Iterator[FoundReply]:
        """Put a stand-in for the reply; where the text behind it stays the same, the reply ends where that begins."""
        stand_in = stand_in_for(turn.messages)
        bare = Message(role=turn.message.role, content=stand_in)
        for message in (bare, replace(turn.message, content=stand_in)):
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in)
            if around is None or not turn.text.endswith(around[1]):
                continue
            other = self._other_tail(turn, messages, stand_in, around[1])
            if other is None:
                continue
            end = len(turn.text) - len(around[1])
            has_calls = message.tool_calls is not None
            length = (self._endings.after_calls if has_calls else self._endings.after_reply)(around[1], other)
            yield FoundReply(end=end, turn_end=end + length)

    def _finished_reply(self, turn: TurnRow) -> Iterator[FoundReply]:
        """Where the rendering up to this turn is the beginning of the whole text, the turn ends with it.

        Only for tool calls, around which a stand-in changes too much.
        """
        if turn.message.tool_calls is None:
            return
        try:
            prompt = self._template.render(turn.messages[: turn.index], turn.tools, add_generation_prompt=True)
            finished = self._template.render(turn.messages[: turn.index + 1], turn.tools)
        except DataError:
            return
        shared = shared_prefix(turn.text, finished)
        if not shared.startswith(prompt) or len(shared) < len(finished.rstrip()):
            return
        end = len(prompt) + self._endings.after_calls(turn.text[len(prompt) :], finished[len(prompt) :])
        yield FoundReply(end=end, turn_end=end)

    def _replaced_call(self, turn: TurnRow) -> Iterator[FoundReply]:
        """Put a stand-in into the last call, for templates that count on calls being calls."""
        if not turn.message.tool_calls:
            return
        stand_in = stand_in_for(turn.messages)
        for call, repeated in calls_with(turn.message.tool_calls[-1:], stand_in):
            message = replace(turn.message, tool_calls=(*turn.message.tool_calls[:-1], call))
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in, repeated=repeated)
            other = None if around is None else self._other_tail(turn, messages, stand_in, around[1], repeated)
            if around is None or other is None or not turn.text.endswith(around[1]):
                continue
            behind = len(turn.text) - len(around[1])
            length = self._endings.first_stop(around[1], other, turn.message.tool_calls[-1])
            if not length:  # the rest of the call cannot be told from what follows it
                continue
            yield FoundReply(end=behind + length, turn_end=behind + length)

    def _other_tail(
        self, turn: TurnRow, messages: Sequence[Message], stand_in: str, tail: str, repeated: str | None = None
    ) -> str | None:
        """What follows the reply when the conversation is over with it; when it is, what follows when it goes on."""
        until = tuple(messages[: turn.index + 1])
        if turn.is_last:
            followed = render_around(self._template, (*until, QUESTION), turn.tools, stand_in, repeated=repeated)
            return self._endings.other_tail(tail, followed[1] if followed else "")
        # Some templates want a question before any reply.
        for shortened in (until, (*until[:-1], QUESTION, until[-1])):
            around = render_around(self._template, shortened, turn.tools, stand_in, repeated=repeated)
            if around is not None:
                return around[1]
        return None
