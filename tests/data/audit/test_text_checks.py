"""What the text of a row shows beside its labels."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.audit.rows import audit, compared, locate
from tests.data.material import CHATML, tiny_template, tiny_tokenizer, turns
from tui_tuner.data.audit.second_method import SecondSpan, compare_methods, second_spans
from tui_tuner.data.audit.text_checks import audit_document
from tui_tuner.data.audit.token_facts import token_facts
from tui_tuner.data.rows import Conversation
from tui_tuner.data.tokenizer import TextTokenizer

PLAIN = turns(("user", "A"), ("assistant", "B"))
THINKING = CHATML.replace("assistant\\n'", "assistant\\n<think>\\n'")
UNCLOSED = (
    "{% for m in messages %}{{ ('<|im_start|>' if m.role == 'user' else '<s>') + m.content }}{% endfor %}"
    "{{ '<s>' if add_generation_prompt else '<|im_end|>' }}"
)
DEFAULTED = "{{- '<|im_start|>system\\nYou are a helpful model. 2024-07-26<|im_end|>\\n' }}" + CHATML


@pytest.fixture(name="tokenizer")
def _tokenizer(tmp_path: Path) -> TextTokenizer:
    """Generation stops at <|im_end|>."""
    tokenizer = tiny_tokenizer(tmp_path / "model")
    return replace(tokenizer, stop_ids=(tokenizer.special_tokens["<|im_end|>"],))


def checks(conversation: Conversation, template: str, tokenizer: TextTokenizer) -> Sequence[tuple[str, int | None]]:
    return [(one.check, one.message) for one in audit(conversation, tiny_template(template), tokenizer).findings]


def test_a_usual_row_has_no_findings(tokenizer: TextTokenizer) -> None:
    assert checks(PLAIN, CHATML, tokenizer) == []


@pytest.mark.parametrize(
    ("template", "found"),
    [
        (CHATML.replace("<|im_end|>", "|"), [("end_of_turn_missing", 1)]),
        (CHATML.replace("<|im_end|>", "</s>"), [("end_of_turn_unknown", 1)]),
        (THINKING, [("prompt_differs", 1)]),
        (DEFAULTED, [("template_added_text", None), ("template_added_text", None)]),
    ],
)
def test_what_a_template_does_is_told(
    template: str, found: Sequence[tuple[str, int | None]], tokenizer: TextTokenizer
) -> None:
    assert checks(PLAIN, template, tokenizer) == found


def test_fields_that_nothing_reads_are_told(tokenizer: TextTokenizer) -> None:
    question, answer = PLAIN.messages
    conversation = replace(PLAIN, messages=(question, replace(answer, unread=("reasoning",))))
    assert checks(conversation, CHATML, tokenizer) == [("unread_field", 1)]


def test_an_empty_first_message_is_no_text_of_the_template(tokenizer: TextTokenizer) -> None:
    assert checks(turns(("user", ""), ("assistant", "B")), CHATML, tokenizer) == []


def test_control_tokens_in_messages_are_told(tokenizer: TextTokenizer) -> None:
    conversation = turns(("user", "<|im_end|> and <s>"), ("assistant", "B"))
    assert checks(conversation, CHATML, tokenizer) == [("control_token_in_text", 0)]


def test_control_tokens_in_a_document_are_told(tokenizer: TextTokenizer) -> None:
    (finding,) = audit_document("one<s>two <im_end", token_facts(tokenizer))
    assert str(finding) == "control_token_in_text: the text holds <s>"


def test_a_difference_between_the_methods_is_told_by_its_first_token(tokenizer: TextTokenizer) -> None:
    located = locate(PLAIN, tiny_template(CHATML), tokenizer)
    (turn,) = located.turns
    longer = (SecondSpan(turn.message, turn.start, turn.end + 1),)
    difference = compare_methods(located, longer, tokenizer.encode(located.text))
    assert difference is not None
    assert (difference.check, difference.message) == ("disagreement", 1)
    assert "('\\n' behind" in difference.detail
    assert difference.detail.endswith("is trained by the second method only")


def test_the_head_of_the_next_question_closes_no_answer(tokenizer: TextTokenizer) -> None:
    conversation = turns(("user", "A"), ("assistant", "B"), ("user", "C"), ("assistant", "D"))
    template = tiny_template(UNCLOSED)
    located = locate(conversation, template, tokenizer)
    assert [located.text[turn.start : turn.end] for turn in located.turns] == ["B", "D<|im_end|>"]
    assert compared(conversation, template, tokenizer) is None


def test_a_row_that_the_second_method_cannot_read_is_unconfirmed(tokenizer: TextTokenizer) -> None:
    template = CHATML.replace("message.content", "message.content | replace('\U00020000', 'x')", 1)
    conversation = turns(("user", "A"), ("assistant", "\U00020000 \U00030000 \uac00"))
    difference = compared(conversation, tiny_template(template.replace("'x'", "'\U00020000'")), tokenizer)
    assert difference is not None
    assert difference.check == "unconfirmed"


def test_the_second_method_stands_without_the_first(tokenizer: TextTokenizer) -> None:
    template = tiny_template(CHATML)
    text = template.render(PLAIN.messages)
    (span,) = second_spans(PLAIN, text, template, token_facts(tokenizer))  # type: ignore[misc]
    assert text[span.start : span.end] == "B<|im_end|>"
