"""Turns of a conversation, from the many ways in which data sets write them to `Message`s.

A turn that cannot be read raises a `RowFault`; nothing is repaired by guessing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tui_tuner.data.rows import Message
from tui_tuner.data.sources.unique_keys import parse_json, repeated_key

ROLES: dict[str, str] = {
    **dict.fromkeys(("user", "human", "prompter", "customer", "usr", "student", "instruction"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "chatbot", "chatgpt", "bing", "bard", "claude", "model"), "assistant"),
    **dict.fromkeys(("ai", "llm", "agent", "teacher", "function_call", "tool_call", "response"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "function", "observation", "function_response", "tool_response", "ipython"), "tool"),
}
"""Role names in the wild, and the four that chat templates know."""
CALLING_ROLES = ("function_call", "tool_call")
ROLE_KEYS = ("role", "from")
CONTENT_KEYS = ("content", "value", "text")
TEXT_PARTS = ("text", "input_text", "output_text")
CALL_KEYS = ("tool_calls", "function_call")
OTHER_TEXTS = ("reasoning_content", "thinking", "name", "tool_call_id")
WEIGHT_KEYS = ("weight", "train", "training")
"""Fields with which other tools take a turn out of the training."""


class RowFault(Exception):
    """Why a row cannot be used. Becomes a `BadRow` and never leaves this package."""


def read_turns(value: object) -> tuple[Message, ...]:
    """Read a list of turns: OpenAI's role/content, ShareGPT's from/value, as objects, JSON text or columns."""
    turns = as_turn_list(value)
    if turns is None:
        raise RowFault(f"turns are {kind_of(value)}; a list of objects with a role and a content is expected")
    if not turns:
        raise RowFault("the list of turns is empty")
    return tuple(_message(turn, number) for number, turn in enumerate(turns, start=1))


def as_turn_list(value: object) -> list[Mapping[str, object]] | None:
    """The turns as objects, or None where the value is something else."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _parsed(value)
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        columns = [[(key, entry) for entry in column] for key, column in value.items()]
        if len({len(column) for column in columns}) > 1:
            return None
        value = [dict(turn) for turn in zip(*columns, strict=True)]
    if not isinstance(value, list) or not all(isinstance(turn, Mapping) and _key(turn, ROLE_KEYS) for turn in value):
        return None
    return value


def read_tools(value: object) -> tuple[Mapping[str, object], ...] | None:
    """Tool schemas, as a list or as JSON text; None where there are none."""
    parsed = _from_text(value, "tools")
    if not parsed:
        return None
    if not isinstance(parsed, list) or not all(isinstance(tool, Mapping) for tool in parsed):
        raise RowFault(f"tools are {kind_of(parsed)}; a list of function schemas is expected")
    return tuple(_without_nulls(tool) for tool in parsed)


def with_system(messages: tuple[Message, ...], system: object) -> tuple[Message, ...]:
    """Put a system text in front, unless there is none, or the turns bring their own, which then wins."""
    if system is None or system == "":
        return messages
    text, first = text_of(system, "system"), messages[0]
    if first.role != "system":
        return (Message(role="system", content=text), *messages)
    if (first.content or "").strip() == text.strip():
        return messages
    return (replace(first, unread=(*first.unread, "the row's own system text")), *messages[1:])


def check_trainable(messages: Sequence[Message]) -> None:
    """Refuse a conversation that teaches nothing."""
    replies = [(number, message) for number, message in enumerate(messages, start=1) if message.role == "assistant"]
    if not replies:
        roles = ", ".join(dict.fromkeys(message.role for message in messages))
        raise RowFault(f"no assistant turn (roles: {roles})")
    for number, message in replies:
        if not message.tool_calls and not (message.content or "").strip():
            raise RowFault(_empty_reply(number))


def text_of(value: object, field: str) -> str:
    """The value as text."""
    if not isinstance(value, str):
        raise RowFault(f'"{field}" is {kind_of(value)}, not a text')
    return value


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    kinds = {list: "a list", Mapping: "an object", str: "a text", int: "a number", float: "a number"}
    return next((words for kind, words in kinds.items() if isinstance(value, kind)), type(value).__name__)


def _message(turn: Mapping[str, object], number: int) -> Message:
    written_role = turn[_key(turn, ROLE_KEYS)]
    role = ROLES.get(written_role.lower()) if isinstance(written_role, str) else None
    if role is None:
        raise RowFault(f"turn {number} has the unknown role {str(written_role)[:40]!r}")
    content = _content(turn.get(_key(turn, CONTENT_KEYS)), number)
    calls = _tool_calls(turn, number)
    if written_role in CALLING_ROLES:
        content, calls = None, _calls_in_text(content, number)
    message = Message(
        role=role,
        content=content,
        reasoning_content=_optional_text(turn, "reasoning_content"),
        thinking=_optional_text(turn, "thinking"),
        tool_calls=calls,
        name=_optional_text(turn, "name"),
        tool_call_id=_optional_text(turn, "tool_call_id"),
        unread=_unread(turn),
    )
    if content is None and not calls:
        is_reply = role == "assistant"
        raise RowFault(_empty_reply(number) if is_reply else f"turn {number} ({role}) has no content")
    return message


def _empty_reply(number: int) -> str:
    return f"turn {number} is an empty assistant reply"


def _unread(turn: Mapping[str, object]) -> tuple[str, ...]:
    """Fields that say something and are not read, by their names: texts of several words, and weights of nothing."""
    read = {_key(turn, ROLE_KEYS), _key(turn, CONTENT_KEYS), *CALL_KEYS, *OTHER_TEXTS}
    content = turn.get(_key(turn, CONTENT_KEYS))
    return tuple(
        str(name)
        for name, value in turn.items()
        if name not in read and value != content and (_says(value) or (name in WEIGHT_KEYS and value in (0, False)))
    )


def _says(value: object) -> bool:
    """Whether there are words in it; names, numbers and dates of a turn are single ones."""
    if isinstance(value, str):
        return len(value.split()) > 1
    if isinstance(value, Mapping):
        return any(_says(entry) for entry in value.values())
    return isinstance(value, list) and any(_says(entry) for entry in value)


def _key(turn: Mapping[str, object], names: Sequence[str]) -> str:
    return next((name for name in names if name in turn), "")


def _content(value: object, number: int) -> str | None:
    """Plain text; parts that are all text are joined, since a text model sees one string either way."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise RowFault(f"the content of turn {number} is {kind_of(value)}, not a text")
    texts = []
    for part in value:
        text = part.get("text") if isinstance(part, Mapping) and part.get("type", "text") in TEXT_PARTS else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else kind_of(part)
            raise RowFault(f"the content of turn {number} has a part that is not text ({kind})")
        texts.append(text)
    return "".join(texts)


def _optional_text(turn: Mapping[str, object], field: str) -> str | None:
    value = turn.get(field)
    return None if value is None else text_of(value, field)


def _tool_calls(turn: Mapping[str, object], number: int) -> tuple[Mapping[str, object], ...] | None:
    calls = _from_text(turn.get("tool_calls"), f"tool_calls of turn {number}")
    if not calls and isinstance(turn.get("function_call"), Mapping):
        calls = [{"type": "function", "function": turn["function_call"]}]
    if not calls:
        return None
    if not isinstance(calls, list) or not all(isinstance(call, Mapping) for call in calls):
        raise RowFault(f"the tool_calls of turn {number} are {kind_of(calls)}, not a list of objects")
    return tuple(_tool_call(call, number) for call in calls)


def _tool_call(call: Mapping[str, object], number: int) -> Mapping[str, object]:
    function = call.get("function", call)
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise RowFault(f"a tool call of turn {number} names no function")
    _check_arguments(function, number)
    kept = _without_nulls(function)
    if function is call:
        return {"type": "function", "function": kept}
    return {**_without_nulls(call), "function": kept}


def _check_arguments(function: Mapping[str, object], number: int) -> None:
    """Arguments that come as JSON text name nothing twice; a text that is no JSON stays a text."""
    arguments = function.get("arguments")
    if not isinstance(arguments, str):
        return
    try:
        value, is_repeated = parse_json(arguments)
    except (ValueError, RecursionError):
        return
    if is_repeated:
        raise RowFault(f"in the arguments of a tool call of turn {number}, {repeated_key(value)}")


def _calls_in_text(content: str | None, number: int) -> tuple[Mapping[str, object], ...]:
    """ShareGPT's function_call turn: the content is one call, or a list of calls, in JSON."""
    parsed = _parsed(content or "")
    calls = [call for call in (parsed if isinstance(parsed, list) else [parsed]) if isinstance(call, Mapping)]
    if not calls:
        raise RowFault(f"turn {number} is a function call, but its content is no JSON object")
    return tuple(_tool_call(call, number) for call in calls)


def _from_text(value: object, name: str) -> object:
    """A value that may come as JSON text."""
    if not isinstance(value, str) or not value.strip():
        return value if not isinstance(value, str) else None
    parsed = _parsed(value)
    if parsed is None and value.strip() != "null":
        raise RowFault(f"the {name} are a text that is no JSON")
    return parsed


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _without_nulls(value: Mapping[str, object]) -> dict[str, object]:
    """Arrow fills in nulls for keys that a row never had."""
    return {key: entry for key, entry in value.items() if entry is not None}
