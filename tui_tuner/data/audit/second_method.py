"""The trained characters of a row, found a second time and in another way than `turns` does.

Tracers at both ends of every field show what each message owns; what lies between them is the template's own text, in
which alone the end-of-turn token is looked for. The beginning of a turn is where prompt and row part behind the last
tracer that both have. Nothing here may call
`turns`, `turn_endings` or `stand_ins`; only the rule of `prompted` is common to both methods.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.token_facts import TokenFacts
from tui_tuner.data.audit.tracing import Tracing, trace, trace_rendering
from tui_tuner.data.prompted import supplied_by_prompt
from tui_tuner.data.rendering.message_forms import PROBED_TOOLS
from tui_tuner.data.rows import Conversation, Message, Tools
from tui_tuner.data.turns import LocatedTurns
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

if TYPE_CHECKING:  # numpy and tokenizers are not for the processes that render templates
    import numpy as np

    from tui_tuner.data.tokenizer import EncodedText

SHOWN = 30
QUESTION = Message(role="user", content="a")


@dataclass(frozen=True, slots=True)
class SecondSpan:
    """Characters [start, end) of the text that one assistant turn trains."""

    message: int
    start: int
    end: int
    parts_from_prompt: str = ""
    """What the generation prompt goes on with where the row has something else; empty where it is kept to."""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why the second method says nothing about a row."""

    reason: str


class _UnclearError(Exception):
    """Why a turn cannot be placed; never leaves this module."""


def second_spans(
    conversation: Conversation, text: str, template: "ChatTemplate", facts: TokenFacts
) -> tuple[SecondSpan, ...] | NotApplicable:
    """Trained characters of each assistant turn in `text`, the rendering of the conversation."""
    traced = trace(conversation.messages, conversation.tools, template, text)
    if isinstance(traced, str):
        return NotApplicable(traced)
    return spans_of_tracing(conversation, traced, template, facts)


def spans_of_tracing(
    conversation: Conversation, traced: Tracing, template: "ChatTemplate", facts: TokenFacts
) -> tuple[SecondSpan, ...] | NotApplicable:
    """Like `second_spans`, where the row is traced already."""
    turns = _Turns(conversation, traced, template, facts)
    replies = [index for index, message in enumerate(conversation.messages) if message.role == "assistant"]
    try:
        spans = tuple(turns.span(index) for index in replies)
    except _UnclearError as error:
        return NotApplicable(str(error))
    if any(one.end > other.start for one, other in pairwise(spans)):
        return NotApplicable("turns overlap in the rendered text")
    return spans


@lru_cache(maxsize=16)
def closing_tokens(template: "ChatTemplate", facts: TokenFacts) -> frozenset[str]:
    """Tokens that close a turn: where generation stops, and what the template itself puts behind plain answers.

    Both arguments are compared by identity.
    """
    asked = Message(role="user", content="a")
    exchange = (asked, Message(role="assistant", content="b"))
    last, (middle, is_alone) = _closer(exchange, template, facts)[0], _closer((*exchange, asked), template, facts)
    if not (last and middle) or (middle != last and is_alone):  # alone it is the head of the question that follows
        return facts.stops
    return facts.stops | {last, middle}


@lru_cache(maxsize=16)
def opening_token(template: "ChatTemplate", facts: TokenFacts) -> str:
    """The token that the generation prompt begins with; empty where it begins with none. Arguments as above."""
    for tools in PROBED_TOOLS:
        with suppress(DataError):
            unprompted = template.render((QUESTION,), tools)
            prompt = template.render((QUESTION,), tools, add_generation_prompt=True)
            token = facts.unsplit.match(prompt.removeprefix(unprompted).lstrip())
            return token[0] if token and prompt.startswith(unprompted) else ""
    return ""


@lru_cache(maxsize=16)
def usual_opening(template: "ChatTemplate") -> str:
    """What the prompt adds behind a question, as far as an answer has it too; empty where that is nothing."""
    for tools in PROBED_TOOLS:
        with suppress(DataError):
            return _opening(template, tools)
    return ""


def compare_methods(
    first: LocatedTurns, second: tuple[SecondSpan, ...] | NotApplicable, encoded: "EncodedText"
) -> Finding | None:
    """Compare which tokens the two methods train; None where they agree on every token."""
    if isinstance(second, NotApplicable):
        return Finding("unconfirmed", second.reason)
    places, other_places = [(turn.start, turn.end) for turn in first.turns], [(one.start, one.end) for one in second]
    if places == other_places:
        return None
    by_first, by_second = _trained(encoded, places), _trained(encoded, other_places)
    differing = (by_first != by_second).nonzero()[0]
    if not differing.size:
        return None
    token = int(differing[0])
    start, end = int(encoded.starts[token]), int(encoded.ends[token])
    who = ("the first", "the second") if by_first[token] else ("the second", "the first")
    message = next((turn.message for turn in reversed(first.turns) if turn.start <= end), first.turns[0].message)
    piece, before = first.text[start:end], first.text[max(0, start - SHOWN) : start]
    detail = f"{differing.size} tokens; token {token} ({piece!r} behind {before!r}) is trained by {who[0]} method only"
    return Finding("disagreement", detail, message)


def _trained(encoded: "EncodedText", spans: Sequence[tuple[int, int]]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """A token is trained if it holds any character of a span."""
    is_trained = encoded.starts < 0
    for start, end in spans:
        is_trained |= (encoded.starts < end) & (encoded.ends > start)
    return is_trained


class _Turns:
    """The assistant turns of one traced row."""

    def __init__(
        self, conversation: Conversation, traced: Tracing, template: "ChatTemplate", facts: TokenFacts
    ) -> None:
        self._conversation = conversation
        self._traced = traced
        self._template = template
        self._facts = facts
        self._closing = closing_tokens(template, facts)
        counts: dict[int, int] = {}
        for _, mark in traced.marks:
            counts[mark] = counts.get(mark, 0) + 1
        self._once = {mark: position for position, mark in traced.marks if counts[mark] == 1}
        self._generated = (
            template.render_marked(conversation.messages, conversation.tools).generated
            if template.marks_generation
            else ()
        )

    def span(self, index: int) -> SecondSpan:
        own = sorted((position, mark) for mark, position in self._once.items() if self._traced.owner(mark) == index)
        own = own or self._repeated_name(index)
        if not own:
            raise _UnclearError(f"turn {index + 1} is not in the rendered text, or more than once")
        first, (last, last_mark) = own[0][0], own[-1]
        if any(first < position < last and self._traced.owner(mark) != index for position, mark in self._traced.marks):
            raise _UnclearError(f"the template mixes turn {index + 1} with another one")
        self._check_middle(index, first, last)
        start, parts = self._start(index, first)
        end = self._end(index, last, last_mark)
        return self._narrowed(SecondSpan(index, start, end, parts), last)

    def _repeated_name(self, index: int) -> list[tuple[int, int]]:
        """Where a call stands of which nothing is shown once: its name comes again with the result, behind it."""
        if not self._conversation.messages[index].tool_calls:
            return []
        places: dict[int, int] = {}
        for position, mark in self._traced.marks:
            if self._traced.owner(mark) == index:
                places.setdefault(mark, position)
        return sorted((position, mark) for mark, position in places.items())

    def _check_middle(self, index: int, first: int, last: int) -> None:
        """Between the fields of a turn there must be no end-of-turn token of the template's."""
        fields = [field for field in self._traced.fields if field.message == index]
        covered = sorted((field.start, field.end) for field in fields if None not in (field.start, field.end))
        position = first
        for start, end in (*covered, (last, last)):
            if start is None or end is None:
                continue
            between = self._traced.text[position:start] if start > position else ""
            if any(stop in between for stop in self._facts.stops):
                raise _UnclearError(f"the template closes turn {index + 1} in its middle")
            position = max(position, end)

    def _start(self, index: int, first: int) -> tuple[int, str]:
        """Behind what the prompt supplies, and what the prompt has instead where the row goes on differently."""
        opening = usual_opening(self._template)
        try:
            start, parts = self._prompted(index, first)
            if not opening or opening not in self._traced.text[start:first]:
                return start, parts
            unclear = _UnclearError(f"the template opens turn {index + 1} without being prompted for it")
        except _UnclearError as error:
            unclear = error
        start, parts = self._borrowed(index, unclear)
        if start > first or not self._traced.text[:start].rstrip().endswith(opening):
            raise unclear
        return start, parts

    def _borrowed(self, index: int, unclear: _UnclearError) -> tuple[int, str]:
        """With a question before the turn, what the model writes has to be the same, up to the end of the text."""
        conversation, text = self._conversation, self._traced.text
        asked = (*conversation.messages[:index], QUESTION, *conversation.messages[index:])
        try:
            traced = trace(asked, conversation.tools, self._template, self._template.render(asked, conversation.tools))
        except DataError:
            raise unclear from None
        if isinstance(traced, str):
            raise unclear
        there = _Turns(replace(conversation, messages=asked), traced, self._template, self._facts)
        start, parts = there.prompted_start(index + 1)
        written = traced.text[start:]
        if not text.endswith(written):
            raise unclear
        return len(text) - len(written), parts

    def prompted_start(self, index: int) -> tuple[int, str]:
        """Where the prompt alone says that a turn begins. Raises as `span` does."""
        own = [position for mark, position in self._once.items() if self._traced.owner(mark) == index]
        if not own:
            raise _UnclearError(f"turn {index + 1} is not in the rendered text, or more than once")
        return self._prompted(index, min(own))

    def _prompted(self, index: int, first: int) -> tuple[int, str]:
        conversation, text = self._conversation, self._traced.text
        prompted = trace_rendering(
            conversation.messages[:index], conversation.tools, self._template, self._traced, is_prompt=True
        )
        if prompted is None:
            raise _UnclearError(f"the template does not prompt for turn {index + 1}")
        prompt, marks = prompted
        anchor = prompt_anchor = 0
        if marks:
            prompt_anchor, mark = marks[-1]
            if mark not in self._once:
                raise _UnclearError(f"what stands before turn {index + 1} moves when it is answered")
            anchor = self._once[mark]
        tail, is_call = text[anchor:], bool(conversation.messages[index].tool_calls)
        supplied = supplied_by_prompt(tail, first - anchor, prompt[prompt_anchor:], self._facts.unsplit, is_call)
        if supplied is None:
            raise _UnclearError(f"prompt and row have different heads before turn {index + 1}")
        return anchor + supplied.length, supplied.parts_with

    def _end(self, index: int, last: int, last_mark: int) -> int:
        """Behind the first end-of-turn token of the template's text that follows the turn's last field."""
        others = [position for position, mark in self._traced.marks if position >= last and mark != last_mark]
        gap = self._before_head(self._traced.text[last : min(others, default=len(self._traced.text))])
        closing = self._closing
        found = next((match.end() for match in self._facts.unsplit.finditer(gap) if match[0] in closing), None)
        if found is not None:
            return last + found
        other = self._other_gap(index, gap, last_mark)
        kept = self._kept_space(index, gap, last_mark)
        return last + max(len(_shared_words(gap, other).rstrip()), kept)

    def _before_head(self, gap: str) -> str:
        """Up to the token with which answers are opened: from there on it is the head of another turn."""
        head = opening_token(self._template, self._facts)
        return gap.partition(head)[0] if head and head not in self._closing else gap

    def _other_gap(self, index: int, gap: str, last_mark: int) -> str:
        """What follows where the row is over with this turn; where it is, what a question behind it leaves of that."""
        messages = self._conversation.messages
        is_last = index == len(messages) - 1
        followed = self._behind((*messages[: index + 1], *((QUESTION,) if is_last else ())), last_mark)
        if is_last:
            return followed if followed and _shared_words(gap, followed).strip() else gap
        if followed is None:
            raise _UnclearError(f"turn {index + 1} has no end that can be told from the head of the next turn")
        return followed

    def _behind(self, messages: Sequence[Message], mark: int) -> str | None:
        """The text behind a tracer in the rendering of these messages."""
        traced = trace_rendering(messages, self._conversation.tools, self._template, self._traced, is_prompt=False)
        places = [position for position, one in traced[1] if one == mark] if traced else []
        return traced[0][places[0] :] if traced is not None and len(places) == 1 else None

    def _kept_space(self, index: int, gap: str, last_mark: int) -> int:
        """How much of the white space at the end of the content the template has kept."""
        message = self._conversation.messages[index]
        content = message.content or ""
        own = content[len(content.rstrip()) :]
        if not own or not gap.startswith(own):
            return 0
        stripped = replace(message, content=content.rstrip())
        messages = (*self._conversation.messages[:index], stripped, *self._conversation.messages[index + 1 :])
        without = self._behind(messages, last_mark)
        return len(own) if without is None or len(without) < len(self._traced.text) - self._once[last_mark] else 0

    def _narrowed(self, span: SecondSpan, last: int) -> SecondSpan:
        """What the template itself marks as generated by the model wins, as far as it lies within the turn."""
        marks = [mark for mark in self._generated if mark[0] < span.end and mark[1] > span.start]
        if not marks:
            return span
        start = max(span.start, min(mark[0] for mark in marks))
        latest = max(mark[1] for mark in marks)
        return SecondSpan(span.message, start, span.end if latest >= last else latest, span.parts_from_prompt)


def _shared_words(one: str, other: str) -> str:
    """What both begin with, up to a border between words where they part within one."""
    length = _num_shared(one, other)
    if length in (len(one), len(other)):
        return one[:length]
    return one[: max(one.rfind(end, 0, length) for end in " \n\t>]") + 1]


def _num_shared(one: str, other: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _opening(template: "ChatTemplate", tools: Tools) -> str:
    answered = (QUESTION, Message(role="assistant", content="b"))
    shared = template.render(answered[:1], tools, add_generation_prompt=True)
    own = _num_shared(shared, template.render(answered[:1], tools))
    indented, is_indented = shared[own:].strip(), True
    for row in (answered, (*answered, QUESTION)):
        traced = _probed(row, template, tools)
        heads = [traced.text[:position] for position, mark in traced.marks if mark == 2] if traced else []
        shared = shared[: _num_shared(shared, heads[0] if heads else "")]
        is_indented = is_indented and bool(heads) and heads[0].rstrip().endswith(indented)
    return shared[own:].strip() or (indented if is_indented else "")


def _probed(messages: Sequence[Message], template: "ChatTemplate", tools: Tools) -> Tracing | None:
    """A tracing of a row that is nobody's; None where the template refuses it or changes its own text."""
    try:
        traced = trace(messages, tools, template, template.render(messages, tools))
    except DataError:
        return None
    return None if isinstance(traced, str) else traced


def _closer(messages: Sequence[Message], template: "ChatTemplate", facts: TokenFacts) -> tuple[str, bool]:
    """The token behind the answer in turn 2, and whether no other one follows it at once.

    Of those that follow each other at once it is the first at which generation stops.
    """
    found = (_probed(messages, template, tools) for tools in PROBED_TOOLS)
    traced = next((one for one in found if one is not None), None)
    if traced is None:
        return "", True
    text, marks = traced.text, traced.marks
    places = [position for position, mark in marks if mark == 3]
    if len(places) != 1:
        return "", True
    after = text[places[0] :].lstrip()
    token = first = facts.unsplit.match(after)
    while token is not None:
        if token[0] in facts.stops:
            return token[0], False
        token = facts.unsplit.match(after, token.end())
    if first is None:
        return "", True
    return first[0], facts.unsplit.match(after, first.end()) is None
