"""Nothing of a row may be missing from its rendered text: finds the fields that a chat template leaves out."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.tracing import END_OF_THOUGHTS, START_OF_THOUGHTS, THOUGHTS_IN_CONTENT, Tracing
from tui_tuner.data.rows import Conversation, Message

THOUGHTS = ("reasoning_content", "thinking", THOUGHTS_IN_CONTENT)


@dataclass(frozen=True, slots=True)
class _Field:
    """A text that must be in the rendering."""

    message: int | None
    name: str
    value: str


def lost_fields(conversation: Conversation, text: str, traced: Tracing | None = None) -> tuple[Finding, ...]:
    """Each field that is not in the text, and thoughts that were taken out of earlier turns.

    Fields are looked for in the order of the turns, each behind the one before; system texts and tools anywhere. Within
    a turn some templates write calls before the content.
    What tracers have shown to be in the text (`traced`) needs no search, and leaves its place to no other field.
    """
    shown = _shown(traced)
    last_question = max(
        (index for index, message in enumerate(conversation.messages) if message.role == "user"), default=-1
    )
    findings: list[Finding] = []
    begin, turn, turn_begin = 0, None, 0
    free = _Free(text, sorted(shown.values()))
    for field in _fields(conversation):
        if field.message != turn:
            turn, turn_begin = field.message, begin
        place = None if field.message is None else shown.get((field.message, field.name, field.value))
        if place is not None:
            begin = max(begin, place[0]) if _is_in_order(conversation, field) else begin
            continue
        begins = (begin, turn_begin) if _is_in_order(conversation, field) else (0,)
        places = (free.take(_written(field.value), one) for one in begins)
        found = next((one for one in places if one is not None), None)
        if found is not None:
            begin = max(begin, found) if _is_in_order(conversation, field) else begin
            continue
        findings.append(_lost(conversation, field, last_question))
    return tuple(findings)


class _Free:
    """The text, in which every character can stand for one field only."""

    def __init__(self, text: str, taken: Sequence[tuple[int, int]]) -> None:
        self._text = text
        self._taken = list(taken)

    def take(self, forms: Iterable[str], begin: int) -> int | None:
        """Place of the first form that stands in free text at or behind `begin`, from now on taken."""
        for form in forms:
            position = self._text.find(form, begin)
            while position >= 0:
                end = position + len(form)
                blocking = next((one for one in self._taken if one[0] < end and one[1] > position), None)
                if blocking is None:
                    self._taken.append((position, end))
                    return position
                position = self._text.find(form, blocking[1])
        return None


def _shown(traced: Tracing | None) -> dict[tuple[int, str, str], tuple[int, int]]:
    """Where each field stands whose two tracers have come through in order."""
    if traced is None:
        return {}
    return {
        (field.message, field.name, field.value): (field.start, field.end)
        for field in traced.fields
        if field.start is not None and field.end is not None and field.end >= field.start
    }


def _is_in_order(conversation: Conversation, field: _Field) -> bool:
    return field.message is not None and conversation.messages[field.message].role != "system"


def _lost(conversation: Conversation, field: _Field, last_question: int) -> Finding:
    if field.message is None:
        return Finding("lost_field", f"{field.name} is not in the text")
    message = conversation.messages[field.message]
    if field.name in THOUGHTS and field.message < last_question:
        return Finding("thinking_stripped", f"{field.name} is not in the text", field.message)
    return Finding("lost_field", f"{field.name} of the {message.role} turn is not in the text", field.message)


def _fields(conversation: Conversation) -> Iterator[_Field]:
    for tool in conversation.tools or ():
        function = tool.get("function", tool)
        name = function.get("name") if isinstance(function, Mapping) else None
        if isinstance(name, str) and name:
            yield _Field(None, f"tool schema {name}", name)
    for index, message in enumerate(conversation.messages):
        for name, value in _texts(message):
            core = value.strip()
            if core:
                yield _Field(index, name, core)


def _texts(message: Message) -> Iterator[tuple[str, str]]:
    """Thoughts come first, as templates write them."""
    content = message.content or ""
    thoughts, closing, answer = content.rpartition(END_OF_THOUGHTS)
    if message.role == "assistant" and closing:
        before, opening, inside = thoughts.rpartition(START_OF_THOUGHTS)
        yield "content before its thoughts", before if opening else ""
        yield THOUGHTS_IN_CONTENT, inside
        content = answer
    yield "reasoning_content", message.reasoning_content or ""
    yield "thinking", message.thinking or ""
    yield "content", content
    for number, call in enumerate(message.tool_calls or (), start=1):
        function = call.get("function")
        if isinstance(function, Mapping):
            yield f"tool call {number}: name", str(function.get("name", ""))
            yield from _leaves(f"tool call {number}: argument", _parsed(function.get("arguments")))


def _leaves(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield f"{name} {key} (its name)", str(key)
            yield from _leaves(f"{name} {key}", entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _leaves(name, entry)
    elif value is not None:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _parsed(arguments: object) -> object:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _written(core: str) -> Iterator[str]:
    """A text as it is, inside JSON, inside JSON of ASCII, inside JSON inside JSON, and as Python shows it."""
    yield core
    for ensure_ascii in (False, True):
        once = json.dumps(core, ensure_ascii=ensure_ascii)[1:-1]
        yield once
        yield json.dumps(once, ensure_ascii=ensure_ascii)[1:-1]
    yield repr(core)[1:-1]
    if core in ("true", "false", "null"):
        yield core.capitalize() if core != "null" else "None"
    yield re.sub(r"[ \t]+\n", "\n", core)
