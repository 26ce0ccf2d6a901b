"""What a template leaves out is named; what it only writes differently is not."""

import pytest

from tests.data.audit.rows import WEATHER, audit, calling, family_template, family_tokenizer, reply, result, row, user
from tests.data.material import tiny_template, turns
from tui_tuner.data.audit.coverage import lost_fields
from tui_tuner.data.audit.tracing import Tracing, trace
from tui_tuner.data.rows import Conversation, Message

BARE = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
QWEN3 = "templates/npm_tokenizer_config/qwen3.jinja"


def lost(conversation: Conversation, template: str) -> list[tuple[str, int | None]]:
    compiled = tiny_template(template)
    text = compiled.render(conversation.messages, conversation.tools)
    traced = trace(conversation.messages, conversation.tools, compiled, text)
    found = lost_fields(conversation, text, traced if isinstance(traced, Tracing) else None)
    return [(f"{one.check}: {one.detail}", one.message) for one in found]


def test_a_thinking_field_that_the_template_does_not_read_is_named() -> None:
    message = Message(role="assistant", content="B", thinking="because")
    tokenizer = family_tokenizer("qwen3")
    found = audit(row(user("A"), message), family_template(QWEN3, "qwen3"), tokenizer).findings
    assert [(one.check, one.detail) for one in found] == [
        ("lost_field", "thinking of the assistant turn is not in the text")
    ]


def test_thoughts_of_earlier_turns_are_no_loss() -> None:
    tokenizer = family_tokenizer("qwen3")
    conversation = row(user("A"), reply("B", "first"), user("C"), reply("D", "then"))
    found = audit(conversation, family_template(QWEN3, "qwen3"), tokenizer).findings
    assert [(one.check, one.message) for one in found] == [("thinking_stripped", 1)]


def test_a_system_text_that_is_dropped_is_named() -> None:
    template = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"
    conversation = turns(("system", "yes"), ("user", "yes"), ("assistant", "no"))
    assert lost(conversation, template) == [("lost_field: content of the system turn is not in the text", 0)]


def test_equal_texts_do_not_stand_for_each_other() -> None:
    template = "{% for m in messages[:-1] %}[{{ m.content }}]{% endfor %}"
    assert lost(turns(("user", "same"), ("assistant", "same")), template) == [
        ("lost_field: content of the assistant turn is not in the text", 1)
    ]


@pytest.mark.parametrize("written", ["m.content | trim", "m.content | tojson", "m.content", "' ' + m.content | string"])
def test_trimming_and_escaping_lose_nothing(written: str) -> None:
    template = "{% for m in messages %}[{{ WRITTEN }}]{% endfor %}".replace("WRITTEN", written)
    assert lost(turns(("user", ' a "quoted"\n\tline é 漢 '), ("assistant", "back\\slash")), template) == []


def test_calls_may_stand_before_the_content() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": {"one": 1}}}
    template = (
        "{% for m in messages %}[{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments }}"
        "{% endfor %}{{ m.content }}]{% endfor %}"
    )
    assert lost(row(user("A"), Message(role="assistant", content="ok", tool_calls=(call,))), template) == []


def test_lost_calls_are_named_with_their_arguments() -> None:
    conversation = row(user("A"), calling("Rome", "ok"), result("rain"), reply("B"), tools=(WEATHER,))
    assert lost(conversation, BARE) == [
        ("lost_field: tool schema weather is not in the text", None),
        ("lost_field: tool call 1: name of the assistant turn is not in the text", 1),
        ("lost_field: tool call 1: argument city (its name) of the assistant turn is not in the text", 1),
        ("lost_field: tool call 1: argument city of the assistant turn is not in the text", 1),
    ]


def test_nothing_of_a_call_is_lost_in_json() -> None:
    conversation = row(user("A"), calling('Ro"me\n'), result("rain"), reply("B"))
    assert lost(conversation, "{% for m in messages %}[{{ m | tojson }}]{% endfor %}") == []


def test_content_before_its_thoughts_is_looked_for_too() -> None:
    found = audit(
        row(user("A"), reply("Well. <think>hm</think>B")), family_template(QWEN3, "qwen3"), family_tokenizer("qwen3")
    )
    assert [one.detail for one in found.findings] == [
        "content before its thoughts of the assistant turn is not in the text"
    ]
