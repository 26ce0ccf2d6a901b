"""Tracers: rare letters put at both ends of every field of a conversation, to see where a template moves each field.

A tracing counts only if the rendering without its tracers is, character for character, the rendering of the row.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from tui_tuner.data.rows import Message, Tools
from tui_tuner.errors import DataError

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

ALPHABETS = ((0x20000, 0x2A6DF), (0x30000, 0x3134A), (0xAC00, 0xD7A3))
"""Rare ideographs, or Hangul where a text has those: letters that no template trims, escapes, folds or splits at."""
START_OF_THOUGHTS, END_OF_THOUGHTS = "<think>", "</think>"
THOUGHTS_IN_CONTENT = "thoughts in content"
OPENING = "opening of thoughts in content"
MODES: tuple[frozenset[str], ...] = (
    frozenset(),
    frozenset({"opening"}),
    frozenset({"calls"}),
    frozenset({"opening", "calls"}),
)
"""What is left alone, tried in this order until the template writes its own text as it does without tracers."""
Marks = tuple[tuple[int, int], ...]
"""(position, number of the tracer) in the order of a text; field n has the tracers 2n and 2n + 1."""


@dataclass(frozen=True, slots=True)
class TracedField:
    """One text of one message, and where it stands in the rendered text; None where that end of it is gone."""

    message: int
    name: str
    value: str
    """Without white space at its ends."""
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Tracing:
    """A rendered text with the places of its fields."""

    text: str
    fields: tuple[TracedField, ...]
    marks: Marks
    base: int
    """Code point of the first tracer."""
    left_alone: frozenset[str]
    """Out of `MODES`."""

    def owner(self, mark: int) -> int:
        """Index of the message that a tracer belongs to."""
        return self.fields[mark // 2].message


def trace(messages: Sequence[Message], tools: Tools, template: "ChatTemplate", text: str) -> Tracing | str:
    """Where each field of the messages stands in `text`, their rendering; or why that cannot be told.

    Tool calls are left untraced where the template reads meaning into them.
    """
    everything = text + repr([message.as_fields() for message in messages])
    base = next((low for low, high in ALPHABETS if not re.search(f"[{chr(low)}-{chr(high)}]", everything)), None)
    if base is None:
        return "the row uses all the alphabets that tracers are taken from"
    reason = ""
    for left_alone in MODES:
        tracer = _Tracer(base, left_alone)
        traced = [tracer.message(index, message) for index, message in enumerate(messages)]
        try:
            plain, marks = without_tracers(template.render(traced, tools), base, len(tracer.slots))
        except DataError as error:
            reason = f"the template fails on traced messages ({error.message.rstrip('.')})"
            continue
        if plain == text:
            return Tracing(text, tuple(_placed(tracer.slots, marks)), marks, base, left_alone)
        reason = "the template changes its own text with what messages begin or end with"
    return reason


def trace_rendering(
    messages: Sequence[Message], tools: Tools, template: "ChatTemplate", like: Tracing, is_prompt: bool
) -> tuple[str, Marks] | None:
    """The rendering of the first messages of a row, traced as `like`: as a prompt or as it is. None where refused."""
    tracer = _Tracer(like.base, like.left_alone)
    traced = [tracer.message(index, message) for index, message in enumerate(messages)]
    try:
        rendered = template.render(traced, tools, add_generation_prompt=is_prompt)
    except DataError:
        return None
    return without_tracers(rendered, like.base, len(tracer.slots))


def without_tracers(rendered: str, base: int, num_fields: int) -> tuple[str, Marks]:
    """The text without tracers, and the tracers that were in it."""
    if not num_fields:
        return rendered, ()
    parts = _tracers(base, num_fields).split(rendered)
    positions = accumulate(map(len, parts[::2]))
    marks = [(position, ord(mark) - base) for mark, position in zip(parts[1::2], positions, strict=False)]
    return "".join(parts[::2]), tuple(marks)


@lru_cache(maxsize=64)
def _tracers(base: int, num_fields: int) -> re.Pattern[str]:
    return re.compile(f"([{chr(base)}-{chr(base + 2 * num_fields - 1)}])")


class _Tracer:
    """Puts tracers into messages and keeps the list of fields, which is the same whatever is left alone."""

    def __init__(self, base: int, left_alone: frozenset[str]) -> None:
        self._base = base
        self._left_alone = left_alone
        self.slots: list[tuple[int, str, str]] = []
        """Message, name and value of each field."""

    def message(self, index: int, message: Message) -> Message:
        content = message.content
        if content is not None:
            content = self._content(index, content, message.role == "assistant")
        if message.is_plain:
            return Message(role=message.role, content=content)
        return replace(
            message,
            content=content,
            reasoning_content=self._optional(index, "reasoning_content", message.reasoning_content),
            thinking=self._optional(index, "thinking", message.thinking),
            tool_calls=None if message.tool_calls is None else tuple(self._calls(index, message.tool_calls)),
        )

    def _content(self, index: int, content: str, is_reply: bool) -> str:
        """Thoughts inside an answer are a field of their own: templates take them out."""
        thoughts, closing, answer = content.rpartition(END_OF_THOUGHTS)
        if not (is_reply and closing):
            return self._wrapped(index, "content", content)
        before, opening, inside = thoughts.rpartition(START_OF_THOUGHTS)
        mark = self._opening(index) if opening and not before.strip() else ""
        wrapped = self._wrapped(index, THOUGHTS_IN_CONTENT, inside)
        return f"{before}{mark}{opening}{wrapped}{closing}{self._wrapped(index, 'content', answer)}"

    def _opening(self, index: int) -> str:
        """A single tracer before the tag: behind it, templates strip white space."""
        first = self._base + 2 * len(self.slots)
        self.slots.append((index, OPENING, START_OF_THOUGHTS))
        return "" if "opening" in self._left_alone else chr(first)

    def _optional(self, index: int, name: str, value: str | None) -> str | None:
        return None if value is None else self._wrapped(index, name, value)

    def _calls(self, index: int, calls: Sequence[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
        for number, call in enumerate(calls, start=1):
            function = call.get("function")
            if not isinstance(function, Mapping):
                yield call
                continue
            traced = dict(function)
            if isinstance(function.get("name"), str):
                traced["name"] = self._wrapped(index, f"tool call {number}: name", function["name"], is_call=True)
            traced["arguments"] = self._arguments(index, f"tool call {number}: argument", function.get("arguments"))
            yield {**call, "function": traced if "arguments" in function else _without(traced, "arguments")}

    def _arguments(self, index: int, name: str, arguments: object) -> object:
        """JSON text is traced inside its texts, and left alone where writing it again would change it."""
        if not isinstance(arguments, str):
            return self._leaves(index, name, arguments)
        try:
            parsed = json.loads(arguments)
        except (ValueError, RecursionError):
            return self._wrapped(index, name, arguments, is_call=True)
        traced = json.dumps(self._leaves(index, name, parsed), ensure_ascii=False)
        return traced if json.dumps(parsed, ensure_ascii=False) == arguments else arguments

    def _leaves(self, index: int, name: str, value: object) -> object:
        if isinstance(value, str):
            return self._wrapped(index, name, value, is_call=True)
        if isinstance(value, Mapping):
            return {key: self._leaves(index, f"{name} {key}", entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self._leaves(index, name, entry) for entry in value]
        return value

    def _wrapped(self, index: int, name: str, value: str, is_call: bool = False) -> str:
        core = value.strip()
        if not core:
            return value
        first = self._base + 2 * len(self.slots)
        self.slots.append((index, name, core))
        if is_call and "calls" in self._left_alone:
            return value
        start = value.index(core)
        return f"{value[:start]}{chr(first)}{core}{chr(first + 1)}{value[start + len(core) :]}"


def _placed(slots: Sequence[tuple[int, str, str]], marks: Marks) -> Iterator[TracedField]:
    first: dict[int, int] = {}
    for position, mark in marks:
        first.setdefault(mark, position)
    for number, (message, name, value) in enumerate(slots):
        yield TracedField(message, name, value, first.get(2 * number), first.get(2 * number + 1))


def _without(fields: Mapping[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in fields.items() if key != name}
