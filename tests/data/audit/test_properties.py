"""Random conversations under all templates that render them: the labels are right, or the row is flagged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.survey_templates.stand_in_tokenizer import stand_in_tokenizer
from tests.data.audit.known_turns import HEADS, OPENINGS, closings
from tests.data.audit.rows import WEATHER, calling, reply, result, row, system, user
from tests.data.material import SHARED
from tui_tuner.data.audit.findings import CHECKS, Finding
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
pieces = st.sampled_from(
    ("a", " b ", "\n", "same", "<|im_end|>", "<|im_start|>assistant\n", "</s>", "[/INST]", "<|end|>", "<think>",
     "</think>", "<end_of_turn>\n<start_of_turn>model\n", "<|eot_id|>", "<|user|>", "{", '"', "\\", "é", "漢", "\r\n",
     "\U00020000")
)  # fmt: skip
texts = st.lists(pieces, max_size=4).map("".join)
spaces = st.sampled_from(("", "", "", " ", "\n", "  \n"))
Turn = tuple[str, str, str, str]
"""What kind of turn it is, the middle of what it says, and the white space around."""
turns = st.lists(
    st.tuples(st.sampled_from(("asked", "asked", "said", "said", "said", "thought", "called")), texts, spaces, spaces),
    min_size=1,
    max_size=5,
)


@dataclass(frozen=True)
class Family:
    """A template with all that its rows need."""

    path: Path
    template: ChatTemplate
    tokenizer: TextTokenizer
    locator: TurnLocator
    facts: TokenFacts


@dataclass(frozen=True)
class Judged:
    """One row under one template, and what was found; None for `difference` where both methods agree."""

    conversation: Conversation
    located: LocatedTurns
    findings: tuple[Finding, ...]
    difference: Finding | None


@lru_cache
def family(path: Path) -> Family:
    text = path.read_bytes().decode()
    tokenizer = stand_in_tokenizer(text)
    template = compile_template(text, tokenizer.named_tokens)
    return Family(path, template, tokenizer, TurnLocator(template, turn_endings(tokenizer)), token_facts(tokenizer))


def conversation_of(opening: str | None, drawn: Sequence[Turn]) -> Conversation:
    """Each text begins and ends with a word that occurs nowhere else: q... where somebody else says it, w... where
    the model does. A conversation without a reply gets one."""
    messages = [] if opening is None else [system(f"q0a{opening}q0z")]
    for number, (kind, middle, before, behind) in enumerate(drawn, start=1):
        said = f"{before}w{number}a{middle}w{number}z{behind}"
        asked = f"{before}q{number}a{middle}q{number}z{behind}"
        if kind == "asked":
            messages.append(user(asked))
        elif kind == "called":
            messages += [calling(f"w{number}a{middle}w{number}z"), result(asked)]
        else:
            messages.append(reply(said, f"w{number}b{middle}w{number}y" if kind == "thought" else None))
    if not any(message.role == "assistant" for message in messages):
        messages.append(reply("w9aw9z"))
    has_calls = any(message.tool_calls for message in messages)
    return row(*messages, tools=(WEATHER,) if has_calls else None)


def judge(known: Family, conversation: Conversation) -> Judged | None:
    """None where the row is refused."""
    try:
        located = known.locator.locate(conversation)
    except RowFault:
        return None
    audited = audit_text(conversation, located, known.template, known.facts)
    difference = compare_methods(located, audited.second, known.tokenizer.encode(located.text))
    return Judged(conversation, located, audited.findings, difference)


def faults(path: Path, judged: Judged) -> Iterator[str]:
    """What is wrong with the labels, told by the unique words and by what is known of the families."""
    text, messages = judged.located.text, judged.conversation.messages
    spans = {turn.message: (turn.start, turn.end) for turn in judged.located.turns}
    replies = [index for index, message in enumerate(messages) if message.role == "assistant"]
    if list(spans) != replies:
        yield f"turns {list(spans)} are trained, not {replies}"
        return
    for index, (start, end) in spans.items():
        trained = text[start:end]
        if any(f"q{number}{letter}" in trained for number in range(10) for letter in "az"):
            yield f"turn {index + 1} trains what others said: {trained!r}"
        yield from _untrained_words(messages[index], index, text, (start, end), judged.findings)
        if "</think>" in repr(messages[index]):
            continue  # templates take such texts apart
        rest = _without_words(trained)
        yield from (f"turn {index + 1} trains the head {head!r}: {trained!r}" for head in HEADS if head in rest)
        if messages[index].is_plain and _may_be_closed(messages, index):
            yield from _edges(path, messages[index], trained, is_last=index == len(messages) - 1)


def _untrained_words(
    message: Message, index: int, text: str, span: tuple[int, int], findings: Sequence[Finding]
) -> Iterator[str]:
    is_named = any(one.message == index and one.check in ("lost_field", "thinking_stripped") for one in findings)
    for word in _words(repr(message)):
        if word in text and word not in text[slice(*span)]:
            yield f"turn {index + 1} does not train {word}: {text[slice(*span)]!r}"
        elif word not in text and not is_named:
            yield f"turn {index + 1} lost {word}, and nobody says so"


def _edges(path: Path, message: Message, trained: str, *, is_last: bool) -> Iterator[str]:
    words = _words(message.content or "")
    before, behind = trained[: trained.find(words[0])], trained[trained.find(words[-1]) + len(words[-1]) :]
    if before.strip() not in {opening.strip() for opening in OPENINGS}:
        yield f"{before!r} stands before the reply in {trained!r}"
    closing = closings(path)[is_last]
    if behind.lstrip() != closing.lstrip():
        yield f"{behind!r} stands behind the reply in {trained!r}, not {closing!r}"


def _may_be_closed(messages: Sequence[Message], index: int) -> bool:
    """Some templates close nothing between two replies in a row."""
    return index + 1 == len(messages) or messages[index + 1].role == "user"


def _words(text: str) -> list[str]:
    return [word for n in range(10) for letter in "abyz" if (word := f"w{n}{letter}") in text]


def _without_words(trained: str) -> str:
    """The template's own part of a trained text: all from the first word of a text to its last is taken out."""
    for number in range(10):
        for first, last in ((f"w{number}a", f"w{number}z"), (f"w{number}b", f"w{number}y")):
            start, end = trained.find(first), trained.rfind(last)
            if 0 <= start < end:
                trained = trained[:start] + trained[end + len(last) :]
    return trained


@pytest.mark.skipif(not TEMPLATES, reason="shared test data is absent: templates")
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(path=st.sampled_from(TEMPLATES or [Path()]), opening=st.none() | texts, drawn=turns)
def test_labels_are_right_or_the_row_is_flagged(path: Path, opening: str | None, drawn: list[Turn]) -> None:
    judged = judge(family(path), conversation_of(opening, drawn))
    if judged is None:
        return
    if judged.difference is None:
        assert not list(faults(path, judged))
    else:
        assert CHECKS[judged.difference.check].severity in ("blocking", "warning")


@pytest.mark.skipif(not TEMPLATES, reason="shared test data is absent: templates")
@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_a_wrong_border_would_be_seen(path: Path) -> None:
    """The judge is no rubber stamp: a turn that is one head too long, or lacks its end, is a fault."""
    judged = judge(family(path), row(user("q1aq1z"), reply("w2aw2z"), user("q3aq3z"), reply("w4aw4z")))
    if judged is None:
        pytest.skip("the template refuses the row")
    assert not list(faults(path, judged))
    turn = judged.located.turns[0]
    for wrong in (replace(turn, end=turn.end - 2), replace(turn, start=max(0, turn.start - 24))):
        located = replace(judged.located, turns=(wrong, *judged.located.turns[1:]))
        assert list(faults(path, replace(judged, located=located)))
