"""The checks of a row's rendered text, made beside the rendering. They change nothing, and need no tokenizer."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tui_tuner.data.audit.coverage import lost_fields
from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.second_method import NotApplicable, SecondSpan, closing_tokens, spans_of_tracing
from tui_tuner.data.audit.token_facts import TokenFacts
from tui_tuner.data.audit.tracing import Tracing, trace
from tui_tuner.data.rows import Conversation, Message
from tui_tuner.data.turns import LocatedTurns

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

ADDED_LETTERS = 12
"""Fewer letters outside markers are the names of roles."""
DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2}|\d{1,2} [A-Z][a-z]{2,8} \d{4}|[A-Z][a-z]{2,8} \d{1,2}, \d{4})\b")


@dataclass(frozen=True, slots=True)
class TextAudit:
    """What the rendered text of a row shows: findings, and the second derivation of its trained characters."""

    findings: tuple[Finding, ...]
    second: tuple[SecondSpan, ...] | NotApplicable


def audit_text(
    conversation: Conversation, located: LocatedTurns, template: "ChatTemplate", facts: TokenFacts
) -> TextAudit:
    """All checks of a rendered conversation, and the second method, with one tracing for both.

    `compare_methods` compares the result with the first method once the row is tokens.
    """
    traced = trace(conversation.messages, conversation.tools, template, located.text)
    if isinstance(traced, str):
        second: tuple[SecondSpan, ...] | NotApplicable = NotApplicable(traced)
        fields = lost_fields(conversation, located.text)
    else:
        second = spans_of_tracing(conversation, traced, template, facts)
        fields = lost_fields(conversation, located.text, traced)
    findings = (
        *fields,
        *_unread_fields(conversation),
        *_control_tokens(conversation, facts),
        *_endings(located, template, facts),
        *_parted(second),
        *(() if isinstance(traced, str) else _added_text(conversation, traced, facts)),
    )
    return TextAudit(findings, second)


def audit_document(text: str, facts: TokenFacts) -> tuple[Finding, ...]:
    """The check of a plain text: names of control tokens, which become those tokens, and are trained."""
    found = dict.fromkeys(match[0] for match in facts.control.finditer(text))
    return (Finding("control_token_in_text", f"the text holds {', '.join(found)}"),) if found else ()


def _unread_fields(conversation: Conversation) -> Iterator[Finding]:
    for index, message in enumerate(conversation.messages):
        if message.unread:
            names = ", ".join(message.unread)
            yield Finding("unread_field", f"of the {message.role} turn {names} is not read", index)


def _control_tokens(conversation: Conversation, facts: TokenFacts) -> Iterator[Finding]:
    for index, message in enumerate(conversation.messages):
        found = dict.fromkeys(match[0] for text in _texts(message) for match in facts.control.finditer(text))
        if found:
            yield Finding("control_token_in_text", f"the {message.role} turn holds {', '.join(found)}", index)


def _texts(message: Message) -> Iterator[str]:
    yield from (text for text in (message.content, message.reasoning_content, message.thinking) if text)
    if message.tool_calls:
        yield repr(message.tool_calls)


def _endings(located: LocatedTurns, template: "ChatTemplate", facts: TokenFacts) -> Iterator[Finding]:
    """Each turn has to end in a token that generation can stop at."""
    closing = closing_tokens(template, facts)
    for turn in located.turns:
        trained = located.text[turn.start : turn.end]
        tokens = list(facts.unsplit.finditer(trained))
        last = tokens[-1][0] if tokens and tokens[-1].end() == len(trained) else ""
        after = located.text[turn.end :].lstrip()
        following = facts.unsplit.match(after)
        if last in facts.stops:
            continue
        if not last and following is not None and following[0] in closing:
            yield Finding("end_of_turn_not_trained", f"{following[0]} follows the answer untrained", turn.message)
        elif not last:
            yield Finding("end_of_turn_missing", f"the answer ends in {trained[-12:]!r}", turn.message)
        elif facts.stops:
            yield Finding("end_of_turn_unknown", f"generation is not told to stop at {last}", turn.message)


def _parted(second: tuple[SecondSpan, ...] | NotApplicable) -> Iterator[Finding]:
    for span in () if isinstance(second, NotApplicable) else second:
        if span.parts_from_prompt:
            detail = f"the prompt goes on with {span.parts_from_prompt!r}, the row does not"
            yield Finding("prompt_differs", detail, span.message)


def _added_text(conversation: Conversation, traced: Tracing, facts: TokenFacts) -> Iterator[Finding]:
    """Words before the first message: a default system prompt, a date. Schemas of tools would be such words too."""
    is_told = bool((conversation.messages[0].content or "").strip())  # else the first mark stands behind its turn
    if conversation.tools is not None or not traced.marks or not is_told:
        return
    before = traced.text[: traced.marks[0][0]]
    words = facts.unsplit.sub(" ", before)
    date = DATE.search(words)
    if date:
        yield Finding("template_added_text", f"a date: {date[0]}")
    if sum(character.isalpha() for character in words) > ADDED_LETTERS:
        yield Finding("template_added_text", f"text before the first message: {' '.join(words.split())[:80]!r}")
