"""Where a turn begins: behind all that the generation prompt supplies, found by rendering that prompt."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from tui_tuner.data.locating.call_stand_ins import calls_with
from tui_tuner.data.locating.stand_ins import STAND_IN, render_around, splice, split_at, stand_in_for
from tui_tuner.data.locating.turn_row import FoundReply, Messages, TurnRow, own_text
from tui_tuner.data.prompted import supplied_by_prompt
from tui_tuner.data.rendering.message_forms import PROBED_TOOLS
from tui_tuner.data.rows import Message, Tools
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.turn_endings import TurnEndings, shared_prefix
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate


class TurnStarts:
    """Beginnings of turns under one template."""

    def __init__(self, template: "ChatTemplate", endings: TurnEndings) -> None:
        self._template = template
        self._endings = endings
        self._opening = usual_opening(template)

    def of(self, turn: TurnRow, reply: FoundReply) -> int:
        """Behind everything that the generation prompt supplies.

        Raises:
            RowFault: prompt and row cannot be brought together.
        """
        try:
            start = self._prompted(turn, reply)
            fault = self._second_opening(turn, start, reply)
        except RowFault as error:
            start, fault = 0, error
        if fault is None:
            return start
        borrowed = self._borrowed(turn, reply)
        if borrowed is None:
            raise fault
        return borrowed

    def _prompted(self, turn: TurnRow, reply: FoundReply) -> int:
        try:
            prompt = self._template.render(turn.messages[: turn.index], turn.tools, add_generation_prompt=True)
        except DataError as error:
            raise RowFault(error.message.rstrip(".")) from error
        if turn.text.startswith(prompt) and len(prompt) <= reply.end:
            return len(prompt)
        if reply.header is not None:
            begin, end = reply.header
            if prompt.startswith(turn.text[:begin]):
                return self._start(turn, begin, end - begin, prompt[begin:])
        return self._start_after_neighbour(turn, reply, prompt)

    def _second_opening(self, turn: TurnRow, start: int, reply: FoundReply) -> RowFault | None:
        """Whether what the prompt for a question usually opens with stands behind the start, where nobody said it."""
        written = turn.text[start : reply.turn_end]
        if self._opening and written.count(self._opening) > own_text(turn.message).count(self._opening):
            return RowFault(f"the template does not prompt for turn {turn.number}, and opens it later")
        return None

    def _borrowed(self, turn: TurnRow, reply: FoundReply) -> int | None:
        """Ask a question before a turn that the template does not prompt for, as a first or second reply in a row.

        What is trained then is trained here, if the same stands at the end of the row, behind the same opening.
        """
        asked = Message(role="user", content=stand_in_for(turn.messages, 2))
        messages = (*turn.messages[: turn.index], asked, *turn.messages[turn.index :])
        try:
            text = self._template.render(messages, turn.tools)
            moved = len(text) - len(turn.text)
            there = TurnRow(messages=messages, tools=turn.tools, index=turn.index + 1, text=text)
            found = FoundReply(end=reply.end + moved, turn_end=reply.turn_end + moved)
            own = text[self._prompted(there, found) :]
        except (DataError, RowFault):
            return None
        start = len(turn.text) - len(own)
        is_opened = turn.text[: max(0, start)].rstrip().endswith(self._opening)
        return start if is_opened and turn.text.endswith(own) and start <= reply.end else None

    def _start_after_neighbour(self, turn: TurnRow, reply: FoundReply, prompt: str) -> int:
        """Compare only what follows the message before: the template renders earlier turns differently in a prompt."""
        stand_in, neighbour = stand_in_for(turn.messages, 0), stand_in_for(turn.messages, 1)
        messages, around = self._shown(turn, stand_in)
        before = rendered_header = around[0]
        if turn.index > 0:
            with_both = splice(messages, turn.index - 1, replace(messages[turn.index - 1], content=neighbour))
            both = render_around(self._template, with_both, turn.tools, stand_in)
            prompted = render_around(
                self._template, with_both[: turn.index], turn.tools, neighbour, add_generation_prompt=True
            )
            parts = split_at(both[0], neighbour) if both else None
            if parts is not None and prompted is not None:
                rendered_header, prompt = parts[1], prompted[1]
        begin = len(before) - len(rendered_header)
        if not before.endswith(rendered_header) or not turn.text.startswith(before[:begin]):
            raise RowFault(f"the beginning of turn {turn.number} cannot be located in the rendered text")
        # With calls of its own, the turn may go on differently within the header of a plain reply.
        header = len(shared_prefix(turn.text[begin:], rendered_header))
        return self._start(turn, begin, header, prompt, reply.end)

    def _shown(self, turn: TurnRow, stand_in: str) -> tuple[Messages, tuple[str, str]]:
        """The messages with a stand-in for what the turn says first, and the text around it."""
        for message in _replaced(turn.message, stand_in):
            messages = splice(turn.messages, turn.index, message)
            around = render_around(self._template, messages, turn.tools, stand_in)
            if around is not None:
                return messages, around
        raise RowFault(f"the template does not show the reply in turn {turn.number}")

    def _start(self, turn: TurnRow, begin: int, header: int, prompt: str, call_end: int = 0) -> int:
        """Where the turn starts whose header stands at `begin` and has `header` characters.

        What stands before a call may be the call's own: then all up to `call_end` is compared.
        """
        tail, unsplit = turn.text[begin:], self._endings.unsplit
        supplied = supplied_by_prompt(tail, header, prompt, unsplit)
        if supplied is None and turn.message.tool_calls and call_end > begin:
            supplied = supplied_by_prompt(tail, call_end - begin, prompt, unsplit, is_call=True)
        if supplied is None:
            raise RowFault(
                f"the template opens turn {turn.number} with {tail[max(0, header - 40) : header]!r}, but prompts "
                f"for it with {prompt[-40:]!r}"
            )
        return begin + supplied.length


def usual_opening(template: "ChatTemplate") -> str:
    """What the prompt behind a question begins with and an answer to it has as well; empty where that is nothing."""
    return next((opening for tools in PROBED_TOOLS if (opening := _opening(template, tools))), "")


def _opening(template: "ChatTemplate", tools: Tools) -> str:
    asked, answered = f"{STAND_IN}0x", f"{STAND_IN}1x"
    question, answer = Message(role="user", content=asked), Message(role="assistant", content=answered)
    rows = ((question, answer), (question, answer, Message(role="user", content="a")))
    prompt = render_around(template, (question,), tools, asked, add_generation_prompt=True)
    unprompted = render_around(template, (question,), tools, asked)
    headers = [split_at(around[1], answered) for row in rows if (around := render_around(template, row, tools, asked))]
    if prompt is None or unprompted is None or not headers:
        return ""
    own = len(shared_prefix(prompt[1], unprompted[1]))
    opening = prompt[1]
    for header in headers:
        opening = shared_prefix(opening, header[0] if header else "")
    # What is only indented otherwise opens the turn all the same.
    indented = prompt[1][own:].strip()
    is_indented = all(header is not None and header[0].rstrip().endswith(indented) for header in headers)
    return opening[own:].strip() or (indented if is_indented else "")


def endings_under(template: "ChatTemplate", endings: TurnEndings) -> TurnEndings:
    """The endings of a tokenizer that knows how this template opens answers."""
    asked, answered = f"{STAND_IN}0x", f"{STAND_IN}1x"
    question, answer = Message(role="user", content=asked), Message(role="assistant", content=answered)
    for tools in PROBED_TOOLS:
        prompt = render_around(template, (question,), tools, asked, add_generation_prompt=True)
        unprompted = render_around(template, (question,), tools, asked)
        finished = render_around(template, (question, answer), tools, answered)
        if prompt is not None and unprompted is not None and prompt[1].startswith(unprompted[1]):
            return endings.under(prompt[1][len(unprompted[1]) :], finished[1] if finished else "")
    return endings


def _replaced(message: Message, stand_in: str) -> Iterator[Message]:
    """A stand-in for the thoughts, for the whole reply, and within its last call."""
    if message.reasoning_content:
        yield replace(message, reasoning_content=stand_in)
    if message.thinking:
        yield replace(message, thinking=stand_in)
    yield Message(role=message.role, content=stand_in)
    calls = message.tool_calls or ()
    for call, _ in calls_with(calls[-1:], stand_in):
        yield replace(message, tool_calls=(*calls[:-1], call))
