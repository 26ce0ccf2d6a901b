"""Random conversations under all templates that render them: the two methods agree, or the row is flagged."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.survey_templates.stand_in_tokenizer import stand_in_tokenizer
from tests.data.audit.rows import calling, reply, result, row, system, user
from tests.data.material import SHARED
from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.audit.second_method import compare_methods
from tui_tuner.data.audit.text_checks import audit_text
from tui_tuner.data.audit.token_facts import TokenFacts, token_facts
from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.rows import Conversation, Message
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.data.turns import LocatedTurns, TurnLocator

TEMPLATES = sorted((SHARED / "templates").rglob("*.jinja")) if SHARED.is_dir() else []
Family = tuple[ChatTemplate, TextTokenizer, TurnLocator, TokenFacts]
pieces = st.sampled_from(
    ("a", "b ", " ", "\n", "same", "<|im_end|>", "<|im_start|>assistant\n", "</s>", "[/INST]", "<|end|>", "<think>",
     "</think>", "<end_of_turn>\n<start_of_turn>model\n", "{", '"', "\\", "é", "漢", "\U00020000")
)  # fmt: skip
texts = st.lists(pieces, min_size=1, max_size=5).map("".join).filter(str.strip)
exchanges = st.lists(st.tuples(texts, texts, st.none() | texts, st.booleans()), min_size=1, max_size=3)


@lru_cache
def family(path: Path) -> Family:
    text = path.read_bytes().decode()
    tokenizer = stand_in_tokenizer(text)
    template = compile_template(text, tokenizer.named_tokens)
    return template, tokenizer, TurnLocator(template, turn_endings(tokenizer)), token_facts(tokenizer)


def conversation_of(opening: str | None, turns: Sequence[tuple[str, str, str | None, bool]]) -> Conversation:
    """Words that occur nowhere else stand at both ends of all that is asked, and in the middle of all answers."""
    messages: list[Message] = [] if opening is None else [system(f"asked {opening} asked")]
    for question, answer, thoughts, is_call in turns:
        messages += [user(f"asked {question} asked")]
        messages += [calling(f"said {answer}"), result(f"asked {question} asked")] if is_call else []
        messages += [reply(f"{answer} said {answer}", thoughts)]
    return row(*messages)


def is_all_said_and_nothing_asked(conversation: Conversation, located: LocatedTurns) -> bool:
    """Whether each turn trains its own answer, and none what others wrote. Templates drop thoughts as they like."""
    trained = {turn.message: located.text[turn.start : turn.end] for turn in located.turns}
    replies = {index: one for index, one in enumerate(conversation.messages) if one.role == "assistant"}
    said = all("said" in trained[index] for index, one in replies.items() if "</think>" not in repr(one))
    return list(trained) == list(replies) and said and not any("asked" in text for text in trained.values())


@pytest.mark.skipif(not TEMPLATES, reason="shared test data is absent: templates")
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(TEMPLATES or [Path()]), opening=st.none() | texts, turns=exchanges)
def test_the_methods_agree_or_the_row_is_flagged(
    path: Path, opening: str | None, turns: list[tuple[str, str, str | None, bool]]
) -> None:
    template, tokenizer, locator, facts = family(path)
    conversation = conversation_of(opening, turns)
    try:
        located = locator.locate(conversation)
    except RowFault:
        return
    audited = audit_text(conversation, located, template, facts)
    difference = compare_methods(located, audited.second, tokenizer.encode(located.text))
    assert difference is None or CHECKS[difference.check].severity in ("blocking", "warning")
    assert is_all_said_and_nothing_asked(conversation, located)
