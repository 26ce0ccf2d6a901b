"""Rows and real tokenizers for the tests of the audit. Nothing here asserts."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from tests.data.material import REF, shared
from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.second_method import compare_methods
from tui_tuner.data.audit.text_checks import TextAudit, audit_text
from tui_tuner.data.audit.token_facts import token_facts
from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import Conversation, Message
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.data.turns import LocatedTurns, TurnLocator

WEATHER: Mapping[str, object] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tells it.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
WEATHER_JSON = (
    '{"type": "function", "function": {"name": "weather", "description": "Tells it.", '
    '"parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}'
)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def system(text: str) -> Message:
    return Message(role="system", content=text)


def reply(text: str, thoughts: str | None = None) -> Message:
    return Message(role="assistant", content=text, reasoning_content=thoughts)


def calling(city: str, text: str = "") -> Message:
    call = {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"city": city}}}
    return Message(role="assistant", content=text, tool_calls=(call,))


def result(text: str) -> Message:
    return Message(role="tool", content=text, name="weather", tool_call_id="call00001")


def row(*messages: Message, tools: tuple[Mapping[str, object], ...] | None = None) -> Conversation:
    return Conversation(ref=REF, messages=messages, tools=tools)


@lru_cache
def family_tokenizer(name: str) -> TextTokenizer:
    return load_text_tokenizer(shared(f"tokenizers/{name}"))


@lru_cache
def family_template(template: str, tokenizer: str) -> ChatTemplate:
    text = shared(template).read_bytes().decode()
    return compile_template(text, family_tokenizer(tokenizer).named_tokens)


def locate(conversation: Conversation, template: ChatTemplate, tokenizer: TextTokenizer) -> LocatedTurns:
    return TurnLocator(template, turn_endings(tokenizer)).locate(conversation)


def audit(conversation: Conversation, template: ChatTemplate, tokenizer: TextTokenizer) -> TextAudit:
    located = locate(conversation, template, tokenizer)
    return audit_text(conversation, located, template, token_facts(tokenizer))


def compared(conversation: Conversation, template: ChatTemplate, tokenizer: TextTokenizer) -> Finding | None:
    located = locate(conversation, template, tokenizer)
    second = audit_text(conversation, located, template, token_facts(tokenizer)).second
    return compare_methods(located, second, tokenizer.encode(located.text))


def example_of(ids: list[int], trained_from: int = 1, trained_to: int | None = None) -> LabelledExample:
    """A row with one answer, tokens [trained_from, trained_to)."""
    input_ids = np.array(ids, dtype=np.int32)
    labels = np.full(len(ids), NOT_TRAINED, dtype=np.int32)
    labels[trained_from:trained_to] = input_ids[trained_from:trained_to]
    return LabelledExample(
        ref=REF,
        kind="conversation",
        input_ids=input_ids,
        labels=labels,
        prompt_ids=input_ids[:trained_from],
        answer_start=trained_from,
    )
