"""Masks of many families, typed out and never rendered, with a tokenizer that knows each family's markers."""

import datetime
from functools import lru_cache
from itertools import groupby

import numpy as np
import pytest

from scripts.survey_templates.stand_in_tokenizer import stand_in_tokenizer
from tests.data.audit.rows import compared
from tests.data.audit.typed_families import GRAMMARS, TYPED, Segments, plain_rows
from tests.data.material import label_samples, shared
from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import Conversation
from tui_tuner.data.tokenizer import TextTokenizer

OPEN, CLOSE = "\u27e6", "\u27e7"
PLAIN = [
    (grammar.template, name, *typed) for grammar in GRAMMARS for name, typed in plain_rows(grammar).items()
]  # fmt: skip
ALL = [*PLAIN, *TYPED]


@lru_cache
def known(template: str) -> tuple[ChatTemplate, TextTokenizer]:
    text = shared(f"templates/{template}.jinja").read_bytes().decode()
    tokenizer = stand_in_tokenizer(text)
    now = datetime.datetime(2025, 1, 2)
    return compile_template(text, tokenizer.named_tokens, now=now), tokenizer


@pytest.mark.parametrize(
    ("template", "conversation", "segments"),
    [(template, conversation, segments) for template, _, conversation, segments in ALL],
    ids=[f"{template.rsplit('/', 1)[-1]} {name}" for template, name, _, _ in ALL],
)
def test_what_is_typed_is_trained_and_nothing_before_it(
    template: str, conversation: Conversation, segments: Segments
) -> None:
    compiled, tokenizer = known(template)
    (example,) = label_samples([conversation], compiled, tokenizer, "assistant")
    assert isinstance(example, LabelledExample), example
    text = compiled.render(conversation.messages, conversation.tools)
    typed = "".join(f"{OPEN}{piece}{CLOSE}" if is_trained else piece for piece, is_trained in segments if piece)
    shown = shown_labels(text, tokenizer, example)
    assert shown[-len(typed) :] == typed
    assert OPEN not in shown[: -len(typed)]
    assert compared(conversation, compiled, tokenizer) is None


def shown_labels(text: str, tokenizer: TextTokenizer, example: LabelledExample) -> str:
    """The text with what its labels train in brackets."""
    encoded = tokenizer.encode(text)
    assert np.array_equal(encoded.ids, example.input_ids)
    pieces = []
    for is_trained, tokens in groupby(range(len(encoded)), key=lambda token: example.labels[token] != NOT_TRAINED):
        numbers = list(tokens)
        piece = text[encoded.starts[numbers[0]] : encoded.ends[numbers[-1]]]
        pieces.append(f"{OPEN}{piece}{CLOSE}" if is_trained else piece)
    return "".join(pieces)
