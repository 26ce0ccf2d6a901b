"""Where each assistant turn stands in a rendered conversation: the characters that the model itself must write.

Found by rendering, never by searching marker strings: the prompt before a turn says where it begins, and a rendering
with a stand-in for its reply says where it ends. What cannot be located with certainty is a `RowFault`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tui_tuner.data.prompted import supplied_by_prompt
from tui_tuner.data.rows import Conversation, Message, Tools
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.stand_ins import (
    Skeleton,
    build_skeleton,
    find_contents,
    render_around,
    splice,
    split_at,
    stand_in_for,
)
from tui_tuner.data.turn_endings import TurnEndings, shared_prefix
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

END_OF_THOUGHTS = "</think>"
Messages = tuple[Message, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """One turn on its way to being located."""

    messages: Messages
    tools: Tools
    index: int
    text: str
    """The rendering of the whole conversation."""

    @property
    def message(self) -> Message:
        return self.messages[self.index]

    @property
    def is_last(self) -> bool:
        return self.index == len(self.messages) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """The end of a reply, and of its turn. `header` is the text before the reply that no other message owns."""

    end: int
    turn_end: int
    header: tuple[int, int] | None = None


class TurnLocator:
    """Locates turns under one template. Keeps the skeleton of each sequence of roles that it has met."""

    def __init__(self, template: "ChatTemplate", endings: TurnEndings) -> None:
        self._template = template
        self._endings = endings
        self._skeletons: dict[tuple[str, ...], Skeleton | None] = {}
        self._opening = _usual_opening(template)

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
                self._span(_Turn(messages=messages, tools=tools, index=index, text=rendered.text), replies.get(index))
                for index, message in enumerate(messages)
                if message.role == "assistant"
            ]
        except DataError as error:
            raise RowFault(error.message.rstrip(".")) from error
        return LocatedTurns(text=rendered.text, turns=tuple(_narrowed(span, rendered.generated) for span in spans))

    def _plain_replies(self, conversation: Conversation, text: str) -> dict[int, _Reply]:
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
            index: _Reply(
                end=span.end, turn_end=span.end + skeleton.endings[index], header=(span.literal_start, span.start)
            )
            for index, span in spans.items()
            if index in skeleton.endings
        }

    def _span(self, turn: _Turn, reply: _Reply | None) -> TurnSpan:
        is_plain = reply is not None
        reply = reply or self._replaced_reply(turn) or self._finished_reply(turn) or self._replaced_call(turn)
        if reply is None:
            raise RowFault(f"the reply in turn {turn.index + 1} cannot be located in the rendered text")
        span = TurnSpan(message=turn.index, start=self._start(turn, reply), end=reply.turn_end, reply_end=reply.end)
        if not _is_shown(turn.message, turn.text[span.start : span.end]):
            raise RowFault(f"the template drops or changes the reply in turn {turn.index + 1}")
        if not is_plain:
            self._check_borders(turn, span)
        return span

    def _check_borders(self, turn: _Turn, span: TurnSpan) -> None:
        """Refuse templates that mix turns: a tool's result inside the turn of the call, a turn closed in its middle."""
        number = turn.index + 1
        written = self._endings.without_stop(turn.text[span.start : span.end])
        own = repr(turn.message.as_fields())
        if any(written.count(stop) > own.count(stop) for stop in self._endings.stops):
            raise RowFault(f"the template closes turn {number} before its end")
        says_it = (turn.message.content or "").lstrip().startswith(self._opening)
        if self._opening and not says_it and written.lstrip().startswith(self._opening):
            raise RowFault(f"the template does not prompt for turn {number}, and opens it later")
        if turn.is_last:
            return
        stand_in = stand_in_for(turn.messages)
        following = replace(turn.messages[number], content=stand_in)
        around = render_around(self._template, splice(turn.messages, number, following), turn.tools, stand_in)
        if around is not None and len(around[0]) < span.end:
            raise RowFault(f"the template writes turn {number + 1} into turn {number}")

    def _replaced_reply(self, turn: _Turn) -> _Reply | None:
        """Put a stand-in for the reply; where the text behind it stays the same, the reply ends where that begins."""
        stand_in = stand_in_for(turn.messages)
        bare = Message(role=turn.message.role, content=stand_in)
        for message in (bare, replace(turn.message, content=stand_in)):
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in)
            if around is None or not turn.text.endswith(around[1]):
                continue
            as_last = render_around(self._template, messages[: turn.index + 1], turn.tools, stand_in)
            if as_last is None:
                continue
            end = len(turn.text) - len(around[1])
            has_calls = message.tool_calls is not None
            length = (self._endings.after_calls if has_calls else self._endings.after_reply)(around[1], as_last[1])
            return _Reply(end=end, turn_end=end + length)
        return None

    def _finished_reply(self, turn: _Turn) -> _Reply | None:
        """Where the rendering up to this turn is the beginning of the whole text, the turn ends with it.

        Only for tool calls, around which a stand-in changes too much.
        """
        if turn.message.tool_calls is None:
            return None
        prompt = self._template.render(turn.messages[: turn.index], turn.tools, add_generation_prompt=True)
        finished = self._template.render(turn.messages[: turn.index + 1], turn.tools)
        shared = shared_prefix(turn.text, finished)
        if not shared.startswith(prompt) or len(shared) < len(finished.rstrip()):
            return None
        end = len(prompt) + self._endings.after_calls(turn.text[len(prompt) :], finished[len(prompt) :])
        return _Reply(end=end, turn_end=end)

    def _replaced_call(self, turn: _Turn) -> _Reply | None:
        """Put a stand-in into the last call, for templates that count on calls being calls."""
        if not turn.message.tool_calls:
            return None
        stand_in = stand_in_for(turn.messages)
        for call in _calls_with(turn.message.tool_calls[-1:], stand_in):
            message = replace(turn.message, tool_calls=(*turn.message.tool_calls[:-1], call))
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in)
            as_last = render_around(self._template, messages[: turn.index + 1], turn.tools, stand_in)
            if around is None or as_last is None or not turn.text.endswith(around[1]):
                continue
            behind = len(turn.text) - len(around[1])
            length = self._endings.first_stop(around[1], as_last[1], turn.message.tool_calls[-1])
            return _Reply(end=behind + length, turn_end=behind + length)
        return None

    def _start(self, turn: _Turn, reply: _Reply) -> int:
        """Behind everything that the generation prompt supplies."""
        prompt = self._template.render(turn.messages[: turn.index], turn.tools, add_generation_prompt=True)
        if turn.text.startswith(prompt) and len(prompt) <= reply.end:
            return len(prompt)
        if reply.header is not None:
            begin, end = reply.header
            if prompt.startswith(turn.text[:begin]):
                return self._prompted_start(turn, begin, end - begin, prompt[begin:])
        return self._start_after_neighbour(turn, reply, prompt)

    def _start_after_neighbour(self, turn: _Turn, reply: _Reply, prompt: str) -> int:
        """Compare only what follows the message before: the template renders earlier turns differently in a prompt."""
        stand_in, neighbour = stand_in_for(turn.messages, 0), stand_in_for(turn.messages, 1)
        messages, around = self._shown(turn, stand_in)
        before = rendered_header = around[0]
        if turn.index > 0:
            with_both = splice(messages, turn.index - 1, replace(messages[turn.index - 1], content=neighbour))
            both = render_around(self._template, with_both, turn.tools, stand_in)
            text = self._template.render(with_both[: turn.index], turn.tools, add_generation_prompt=True)
            parts, prompt_parts = split_at(both[0], neighbour) if both else None, split_at(text, neighbour)
            if parts is not None and prompt_parts is not None:
                rendered_header, prompt = parts[1], prompt_parts[1]
        begin = len(before) - len(rendered_header)
        if not before.endswith(rendered_header) or not turn.text.startswith(before[:begin]):
            raise RowFault(f"the beginning of turn {turn.index + 1} cannot be located in the rendered text")
        # With thoughts or calls of its own, the turn may go on differently within the header of a plain reply.
        header = len(shared_prefix(turn.text[begin:], rendered_header))
        return self._prompted_start(turn, begin, header, prompt, reply.end)

    def _shown(self, turn: _Turn, stand_in: str) -> tuple[Messages, tuple[str, str]]:
        """The messages with a stand-in for the reply, or within its last call, and the text around it."""
        bare = Message(role=turn.message.role, content=stand_in)
        calls = turn.message.tool_calls or ()
        within = (replace(turn.message, tool_calls=(*calls[:-1], call)) for call in _calls_with(calls[-1:], stand_in))
        for message in (bare, *within):
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in)
            if around is not None:
                return messages, around
        raise RowFault(f"the template does not show the reply in turn {turn.index + 1}")

    def _prompted_start(self, turn: _Turn, begin: int, header: int, prompt: str, call_end: int = 0) -> int:
        """Where the turn starts whose header stands at `begin` and has `header` characters.

        What stands before a call may be the call's own: then all up to `call_end` is compared.
        """
        tail, unsplit = turn.text[begin:], self._endings.unsplit
        supplied = supplied_by_prompt(tail, header, prompt, unsplit)
        if supplied is None and turn.message.tool_calls and call_end > begin:
            supplied = supplied_by_prompt(tail, call_end - begin, prompt, unsplit, is_call=True)
        if supplied is None:
            raise RowFault(
                f"the template opens turn {turn.index + 1} with {tail[max(0, header - 40) : header]!r}, but prompts "
                f"for it with {prompt[-40:]!r}"
            )
        return begin + supplied.length


def _usual_opening(template: "ChatTemplate") -> str:
    """What the generation prompt adds behind a user's turn; empty where the template adds nothing, or refuses."""
    messages = (Message(role="user", content="a"),)
    try:
        without = template.render(messages)
        prompt = template.render(messages, add_generation_prompt=True)
    except DataError:
        return ""
    return prompt.removeprefix(without).strip() if prompt.startswith(without) else ""


def _is_shown(message: Message, text: str) -> bool:
    """Whether the names of all tool calls, or else the answer, are in the text. Thoughts may be taken out.

    What a template leaves out beside calls is for the audit to tell: the call is still what the model has to write.
    """
    functions = [call["function"] for call in message.tool_calls or ()]
    names = [str(function["name"]) for function in functions if isinstance(function, Mapping)]
    if not names:
        return (message.content or "").rsplit(END_OF_THOUGHTS, 1)[-1].strip() in text and bool(text.strip())
    return all(name in text for name in names)


def _calls_with(calls: Sequence[Mapping[str, object]], stand_in: str) -> Iterator[Mapping[str, object]]:
    """Each call with a stand-in for its last argument that is a text, and with one for its name."""
    for call in calls:
        function = call.get("function")
        if not isinstance(function, Mapping):
            continue
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            texts = [key for key, value in arguments.items() if isinstance(value, str)]
            if texts:
                yield {**call, "function": {**function, "arguments": {**arguments, texts[-1]: stand_in}}}
        yield {**call, "function": {**function, "name": stand_in}}


def _narrowed(span: TurnSpan, generated: Sequence[tuple[int, int]]) -> TurnSpan:
    """Keep to what the template itself marks as generated; its marks may take in a header or miss the ending."""
    marks = [(start, end) for start, end in generated if start < span.end and end > span.start]
    if not marks:
        return span
    end = span.end if marks[-1][1] >= span.reply_end else marks[-1][1]
    return replace(span, start=max(span.start, marks[0][0]), end=end)
