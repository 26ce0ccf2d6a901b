"""Arguments of tool calls: data sets write them as an object or as JSON text, and templates want one or the other."""

import json
from collections.abc import Mapping


def with_arguments(message: dict[str, object], as_text: bool) -> dict[str, object]:
    """The message with the arguments of its calls in the form asked for. Text that is no JSON object stays text."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return message
    return {**message, "tool_calls": [_call(call, as_text) for call in calls]}


def _call(call: Mapping[str, object], as_text: bool) -> Mapping[str, object]:
    function = call.get("function")
    if not isinstance(function, Mapping) or "arguments" not in function:
        return call
    return {**call, "function": {**function, "arguments": _arguments(function["arguments"], as_text)}}


def _arguments(arguments: object, as_text: bool) -> object:
    if as_text:
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if not isinstance(arguments, str):
        return arguments
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
