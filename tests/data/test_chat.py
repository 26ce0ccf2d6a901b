"""Chat templates: rendered as transformers does, chosen, and refused."""

import jinja2
import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from tests.data.material import SHARED, shared, tiny_template
from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.rendering.message_forms import MessageForms, in_form
from tui_tuner.data.rows import Message
from tui_tuner.errors import DataError

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
_DISTINCT = {path.read_bytes(): path.relative_to(SHARED).as_posix() for path in SHARED.glob("templates/**/*.jinja")}
TEMPLATES = sorted(_DISTINCT.values())
TOOL: dict[str, object] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add <numbers> & more.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer", "description": "\u00e9"}},
            "required": ["a"],
        },
    },
}
ASKED, SYSTEM = Message(role="user", content=" Hi <&\"'\u00e9 "), Message(role="system", content="Be kind.")
CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "add", "arguments": {"a": 1, "b": "\u00e9<"}}}
CONVERSATIONS = {
    "plain": (ASKED, Message(role="assistant", content="ok"), ASKED, Message(role="assistant", content="bye\n")),
    "system": (SYSTEM, ASKED, Message(role="assistant", content="ok")),
    "thoughts": (ASKED, Message(role="assistant", content="ok", reasoning_content="why", thinking="why")),
    "tools": (
        ASKED,
        Message(role="assistant", content="", tool_calls=(CALL,)),
        Message(role="tool", content="3", name="add", tool_call_id="abcdefghi"),
        Message(role="assistant", content="3"),
    ),
}


def _ours(
    template: ChatTemplate, messages: tuple[Message, ...], tools: list[dict[str, object]] | None, prompt: bool
) -> object:
    try:
        rendered = template.render_marked(messages, tools, prompt)
    except DataError:
        return "refused"
    return rendered.text, [list(span) for span in rendered.generated]


def _theirs(
    text: str,
    forms: MessageForms,
    messages: tuple[Message, ...],
    tools: list[dict[str, object]] | None,
    prompt: bool,
) -> object:
    fields = [in_form(message.as_fields(), forms) for message in messages]
    try:
        texts, spans = render_jinja_template(
            [fields], tools, None, text, return_assistant_tokens_mask=True, add_generation_prompt=prompt, **TOKENS
        )
    except (jinja2.TemplateError, TypeError, ValueError, LookupError):
        return "refused"
    return texts[0], [list(span) for span in spans[0]]


@pytest.mark.parametrize("name", TEMPLATES or ["templates"])
def test_text_and_generated_spans_equal_those_of_transformers(name: str) -> None:
    text = shared(name).read_bytes().decode()
    template = compile_template(text, TOKENS)
    for kind, messages in CONVERSATIONS.items():
        tools = [TOOL] if kind == "tools" else None
        for prompt in (False, True) if kind == "plain" else (False,):
            assert _ours(template, messages, tools, prompt) == _theirs(text, template.forms, messages, tools, prompt), (
                kind
            )


def test_a_template_that_raises_says_so_in_its_own_words() -> None:
    with pytest.raises(DataError, match="the chat template fails: only cats"):
        tiny_template("{{ raise_exception('only cats') }}").render([ASKED])


@pytest.mark.parametrize("text", ["{{ messages[0].content.nothing.at_all }}", "{{ 1 / 0 }}", "{{ messages + 'a' }}"])
def test_a_template_that_breaks_is_one_error(text: str) -> None:
    with pytest.raises(DataError, match="the chat template fails"):
        tiny_template(text).render([ASKED])


def test_a_template_cannot_reach_python() -> None:
    with pytest.raises(DataError, match="unsafe"):
        tiny_template("{{ messages.__class__.__mro__ }}").render([ASKED])


def test_a_template_that_is_no_jinja_names_its_line() -> None:
    with pytest.raises(DataError, match="chat template, line 2: "):
        tiny_template("{% if true %}\n{% endfor %}")


def test_the_clock_stands_still_between_renderings() -> None:
    template = tiny_template("{{ strftime_now('%H:%M:%S.%f') }}")
    assert template.render([ASKED]) == template.render([ASKED])


def test_arguments_are_given_in_the_form_that_the_template_writes_well() -> None:
    encoding = tiny_template(
        "{% for call in messages[-1].tool_calls or [] %}{{ call.function.arguments | tojson }}{% endfor %}"
    )
    joining = tiny_template(
        "{% for call in messages[-1].tool_calls or [] %}{{ 'x' + call.function.arguments }}{% endfor %}"
    )
    calls = [({**CALL, "function": {"name": "add", "arguments": arguments}},) for arguments in ({"a": 1}, '{"a": 1}')]
    for call in calls:
        message = Message(role="assistant", content=None, tool_calls=call)
        assert (encoding.render([message]), joining.render([message])) == ('{"a": 1}', 'x{"a": 1}')
