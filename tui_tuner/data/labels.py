"""Token ids and labels of each row. A label is the token itself where it is trained and -100 elsewhere, unshifted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tui_tuner.data.chat import ChatTemplate
from tui_tuner.data.rows import BadRow, Conversation, PreferencePair, RowRef, Sample, TextDocument
from tui_tuner.data.shapes.messages import RowFault
from tui_tuner.data.tokenizer import EncodedText, IntArray, TextTokenizer
from tui_tuner.data.turn_endings import turn_endings
from tui_tuner.data.turns import TurnLocator, TurnSpan

NOT_TRAINED = -100
ROWS_AT_ONCE = 512
"""Rows that are tokenised together: enough to keep all cores busy."""
TrainOn = Literal["assistant", "last_assistant", "everything"]
OPENING_SHARE = 4
"""A document's prompt for sampling is its first quarter, at most `OPENING_TOKENS`."""
OPENING_TOKENS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledExample:
    """What the engine trains on: one row, or one piece of a document."""

    ref: RowRef
    kind: Literal["conversation", "document"]
    input_ids: IntArray
    labels: IntArray
    prompt_ids: IntArray
    """What stands before the last answer; a view of `input_ids` unless a token crosses the border."""
    answer_start: int
    """Index of the first token of the last answer."""
    question: str = ""
    """What a person reads as the prompt: the last user turn before the last answer; empty for a document."""
    source: int = 0
    """Index of the data source in the recipe."""

    @property
    def num_tokens(self) -> int:
        return len(self.input_ids)

    @property
    def num_trained(self) -> int:
        """Tokens that count in the loss. The first of a sequence is never predicted."""
        return int(np.count_nonzero(self.labels[1:] != NOT_TRAINED))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A rendered row before it is tokens."""

    ref: RowRef
    kind: Literal["conversation", "document"]
    text: str
    turns: tuple[TurnSpan, ...] = ()
    question: str = ""


def label_samples(
    samples: Iterable[Sample], template: ChatTemplate, tokenizer: TextTokenizer, train_on: TrainOn
) -> Iterator[LabelledExample | BadRow]:
    """Label rows in their order. A row whose turns cannot be located, or that trains nothing, becomes a `BadRow`."""
    locator = TurnLocator(template, turn_endings(tokenizer))
    drafts: list[_Draft | BadRow] = []
    for sample in samples:
        drafts.append(_draft(sample, locator))
        if len(drafts) == ROWS_AT_ONCE:
            yield from _label(drafts, tokenizer, train_on)
            drafts = []
    yield from _label(drafts, tokenizer, train_on)


def _draft(sample: Sample, locator: TurnLocator) -> _Draft | BadRow:
    match sample:
        case TextDocument():
            return _Draft(ref=sample.ref, kind="document", text=sample.text)
        case PreferencePair():
            sample = Conversation(ref=sample.ref, messages=sample.prompt + sample.chosen)
    try:
        located = locator.locate(sample)
    except RowFault as fault:
        return BadRow(ref=sample.ref, reason=str(fault))
    return _Draft(
        ref=sample.ref, kind="conversation", text=located.text, turns=located.turns, question=_last_question(sample)
    )


def _last_question(conversation: Conversation) -> str:
    asked = [message.content or "" for message in conversation.messages if message.role == "user"]
    return asked[-1] if asked else ""


def _label(
    drafts: Sequence[_Draft | BadRow], tokenizer: TextTokenizer, train_on: TrainOn
) -> Iterator[LabelledExample | BadRow]:
    encoded = iter(tokenizer.encode_batch([draft.text for draft in drafts if isinstance(draft, _Draft)]))
    for draft in drafts:
        if isinstance(draft, BadRow):
            yield draft
            continue
        if draft.kind == "document":
            example = _document(draft, next(encoded), tokenizer)
        else:
            example = _conversation(draft, next(encoded), tokenizer, train_on)
        yield example if example.num_trained else BadRow(ref=draft.ref, reason="no token of this row is trained")


def _document(draft: _Draft, encoded: EncodedText, tokenizer: TextTokenizer) -> LabelledExample:
    """BOS where the tokenizer wants one, the text, EOS; every token is trained."""
    first = [tokenizer.bos_id] if tokenizer.adds_bos and tokenizer.bos_id is not None else []
    last = [tokenizer.eos_id] if tokenizer.eos_id is not None else []
    input_ids = np.concatenate((first, encoded.ids, last)).astype(np.int32)
    opening = min(OPENING_TOKENS, max(1, len(input_ids) // OPENING_SHARE))
    return LabelledExample(
        ref=draft.ref,
        kind="document",
        input_ids=input_ids,
        labels=input_ids,
        prompt_ids=input_ids[:opening],
        answer_start=opening,
    )


def _conversation(draft: _Draft, encoded: EncodedText, tokenizer: TextTokenizer, train_on: TrainOn) -> LabelledExample:
    """A token is trained if it holds any character of a trained turn."""
    is_trained = np.full(len(encoded.ids), train_on == "everything")
    for turn in draft.turns[-1:] if train_on == "last_assistant" else draft.turns:
        is_trained |= (encoded.starts < turn.end) & (encoded.ends > turn.start)
    start = draft.turns[-1].start
    answer_start = int(np.searchsorted(encoded.ends, start, side="right"))
    prompt_ids = encoded.ids[:answer_start]
    if answer_start < len(encoded.ids) and encoded.starts[answer_start] < start:
        prompt_ids = tokenizer.encode(draft.text[:start]).ids
    return LabelledExample(
        ref=draft.ref,
        kind="conversation",
        input_ids=encoded.ids,
        labels=np.where(is_trained, encoded.ids, np.int32(NOT_TRAINED)),
        prompt_ids=prompt_ids,
        answer_start=answer_start,
        question=draft.question,
    )
