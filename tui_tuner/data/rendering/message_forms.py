"""What messages can say in two ways, and templates read in one: arguments, the content beside calls, parts of content.

Which way a template wants is found by trying both, once for each template. Nothing here may change what is said.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tui_tuner.data.rows import Tools

EmptyContent = Literal["as given", "null", "text"]
Fields = dict[str, object]
Render = Callable[[Sequence[Fields]], str]
"""Renders messages; empty where the template refuses them."""
SAID, CALLED = "qzwords", "qzname"
ARGUMENTS = {"probe": "value"}
CALL_ID = "call00001"
RESULT: Fields = {"role": "tool", "name": CALLED, "tool_call_id": CALL_ID, "content": SAID}
THANKS: Fields = {"role": "assistant", "content": SAID}
_PARAMETER = {"type": "string", "description": "a"}
_PARAMETERS = {"type": "object", "properties": {"a": _PARAMETER}, "required": ["a"]}
_FUNCTION = {"name": "a", "description": "a", "parameters": _PARAMETERS}
PROBED_TOOLS: tuple[Tools, ...] = (None, ({"type": "function", "function": _FUNCTION},))
"""No tools, and one, for the templates that refuse all rows without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageForms:
    """How one template wants its messages."""

    text_arguments: bool = False
    """Arguments of calls as JSON text; most templates encode an object themselves."""
    empty_content: EmptyContent = "as given"
    """What stands in the place of no content beside calls: null, which some write as "None", or an empty text."""
    content_parts: bool = False
    """Content as a list of parts; those templates lose plain texts."""


def in_form(fields: Fields, forms: MessageForms) -> Fields:
    """One message as the template wants it. Arguments that are no JSON object stay text."""
    content, calls = fields.get("content"), fields.get("tool_calls")
    if isinstance(calls, list) and calls:
        fields = {**fields, "tool_calls": [_call(call, forms.text_arguments) for call in calls]}
        if not content and forms.empty_content != "as given":
            fields["content"] = None if forms.empty_content == "null" else ""
    if forms.content_parts and isinstance(content, str):
        fields = {**fields, "content": [{"type": "text", "text": content}]}
    return fields


def probe_forms(render: Render, text: str) -> MessageForms:
    """Try what the template does with each form. `text` is its source, which spares needless trials."""
    parts = _wants_parts(render)
    if "tool_calls" not in text:
        return MessageForms(content_parts=parts)
    arguments = _wants_text(render)
    return MessageForms(
        text_arguments=arguments, empty_content=_empty_content(render, text_arguments=arguments), content_parts=parts
    )


def _wants_parts(render: Render) -> bool:
    """A plain text is lost or refused, and a list of parts is not."""
    message: Fields = {"role": "user", "content": SAID}
    return SAID not in render([message]) and SAID in render([in_form(message, MessageForms(content_parts=True))])


def _wants_text(render: Render) -> bool:
    """An object fails, or is written in Python's own notation."""
    as_object, as_text = (render(_calling(None, text_arguments=as_text)) for as_text in (False, True))
    is_shown = '{"probe"' in as_object or "probe" in as_object.replace("{'probe'", "")
    return not is_shown and '{"probe"' in as_text


def _empty_content(render: Render, *, text_arguments: bool) -> EmptyContent:
    """The form that shows the call and writes least beside it; "as given" where both are written alike."""
    for behind in ((), (RESULT, THANKS)):  # some read only what is said in turns before the last
        null, text = (render([*_calling(content, text_arguments=text_arguments), *behind]) for content in (None, ""))
        if null == text or not (CALLED in null or CALLED in text):
            continue
        if CALLED not in text:
            return "null"
        return "text" if CALLED not in null or len(text) <= len(null) else "null"
    return "as given"


def _calling(content: str | None, *, text_arguments: bool) -> list[Fields]:
    function = {"name": CALLED, "arguments": ARGUMENTS}
    call = {"id": CALL_ID, "type": "function", "function": function}
    calling: Fields = {"role": "assistant", "content": content, "tool_calls": [call]}
    return [{"role": "user", "content": SAID}, in_form(calling, MessageForms(text_arguments=text_arguments))]


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
    except (ValueError, RecursionError):
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
