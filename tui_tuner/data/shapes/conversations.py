"""Conversations from rows of the single-answer and turn-list shapes. A row that cannot be used raises a `RowFault`."""

from collections.abc import Mapping

from tui_tuner.data.rows import Conversation, Message, SourceRow, TextDocument
from tui_tuner.data.shapes.messages import (
    RowFault,
    as_turn_list,
    check_trainable,
    kind_of,
    read_tools,
    read_turns,
    text_of,
    with_system,
)


def turns_conversation(row: SourceRow, columns: Mapping[str, str]) -> Conversation:
    """A row that lists its turns (messages, ShareGPT)."""
    column = columns["messages"]
    if row.fields.get(column) is None:
        raise RowFault(f'the row has no "{column}", where others list their turns')
    return _conversation(row, columns, read_turns(row.fields[column]))


def alpaca_conversation(row: SourceRow, columns: Mapping[str, str]) -> Conversation:
    """Instruction and optional input become the user's turn, joined by a blank line."""
    instruction = text_of(row.fields.get(columns["instruction"]), columns["instruction"])
    given = _field(row, columns, "input")
    prompt = f"{instruction}\n\n{text_of(given, columns['input'])}" if given not in (None, "") else instruction
    answer = text_of(row.fields.get(columns["output"]), columns["output"])
    return _conversation(row, columns, (*_history(_field(row, columns, "history")), *_exchange(prompt, answer)))


def prompt_conversation(row: SourceRow, columns: Mapping[str, str]) -> Conversation:
    """Prompt and completion, each a text or a list of turns; `label` is the judgement of unpaired preferences (KTO)."""
    if row.fields.get("label") is False:
        raise RowFault('"label" is false: the answer is marked as a bad one, which would be trained as a good one')
    prompt = turns_of(row.fields.get(columns["prompt"]), "user", columns["prompt"])
    completion = turns_of(row.fields.get(columns["completion"]), "assistant", columns["completion"])
    return _conversation(row, columns, (*prompt, *completion))


def text_document(row: SourceRow, columns: Mapping[str, str]) -> TextDocument:
    """A row of plain text."""
    text = text_of(row.fields.get(columns["text"]), columns["text"])
    if not text.strip():
        raise RowFault(f'"{columns["text"]}" is empty')
    return TextDocument(ref=row.ref, text=text)


def turns_of(value: object, role: str, field: str) -> tuple[Message, ...]:
    """A text as one turn of that role, one turn as an object, or a list of turns."""
    if isinstance(value, Mapping):
        return read_turns([value])
    if as_turn_list(value) is not None:
        return read_turns(value)
    if not isinstance(value, str):
        raise RowFault(f'"{field}" is {kind_of(value)}; a text or a list of turns is expected')
    return (Message(role=role, content=value),)


def _conversation(row: SourceRow, columns: Mapping[str, str], messages: tuple[Message, ...]) -> Conversation:
    check_trainable(messages)
    system = _field(row, columns, "system")
    return Conversation(
        ref=row.ref, messages=with_system(messages, system), tools=read_tools(_field(row, columns, "tools"))
    )


def _field(row: SourceRow, columns: Mapping[str, str], field: str) -> object:
    return row.fields.get(columns[field]) if field in columns else None


def _history(value: object) -> tuple[Message, ...]:
    """Earlier exchanges as [question, answer] pairs."""
    if not value:
        return ()
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise RowFault(f'"history" is {kind_of(value)}; a list of [question, answer] pairs is expected')
    pairs = [(text_of(question, "history"), text_of(answer, "history")) for question, answer in value]
    return tuple(message for pair in pairs for message in _exchange(*pair))


def _exchange(prompt: str, answer: str) -> tuple[Message, Message]:
    return Message(role="user", content=prompt), Message(role="assistant", content=answer)
