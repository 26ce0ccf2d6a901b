"""Token ids and labels of each row. A label is the token itself where it is trained and -100 elsewhere, unshifted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from tui_tuner.data.rendering.rows import RenderedRow, RowKind, RowRenderer
from tui_tuner.data.rows import BadRow, RowRef, Sample
from tui_tuner.data.tokenizer import EncodedText, IntArray, TextTokenizer
from tui_tuner.data.turn_endings import turn_endings

if TYPE_CHECKING:  # a parent process has no use for jinja2
    from tui_tuner.data.chat import ChatTemplate

NOT_TRAINED = -100
TrainOn = Literal["assistant", "last_assistant", "everything"]
OPENING_SHARE = 4
"""A document's prompt for sampling is its first quarter, at most `OPENING_TOKENS`."""
OPENING_TOKENS = 32


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledExample:
    """What the engine trains on: one row, or one piece of a document."""

    ref: RowRef
    kind: RowKind
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledRow:
    """A row as text and as tokens."""

    rendered: RenderedRow
    encoded: EncodedText
    example: LabelledExample
    rejected: "LabelledRow | None" = None
    """The other answer of an audited preference pair."""


def label_rows(
    rows: Sequence[RenderedRow | BadRow], tokenizer: TextTokenizer, train_on: TrainOn
) -> Iterator[LabelledRow | BadRow]:
    """Label rendered rows in their order, tokenised together. One that trains nothing becomes a `BadRow`."""
    good = [row for row in rows if isinstance(row, RenderedRow)]
    encoded = iter(tokenizer.encode_batch([text for row in good for text in _texts(row)]))
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        labelled = _labelled(row, next(encoded), tokenizer, train_on)
        if row.rejected is not None:
            rejected = _labelled(row.rejected, next(encoded), tokenizer, train_on)
            labelled = replace(labelled, rejected=rejected)
        is_trained = labelled.example.num_trained > 0
        yield labelled if is_trained else BadRow(ref=row.ref, reason="no token of this row is trained")


def label_samples(
    samples: Iterable[Sample], template: "ChatTemplate", tokenizer: TextTokenizer, train_on: TrainOn
) -> Iterator[LabelledExample | BadRow]:
    """Label rows in their order with a trusted template, which is rendered in this very process."""
    renderer = RowRenderer(template, turn_endings(tokenizer))
    for sample in samples:
        for row in label_rows([renderer.render(sample)], tokenizer, train_on):
            yield row if isinstance(row, BadRow) else row.example


def _texts(row: RenderedRow) -> tuple[str, ...]:
    return (row.text,) if row.rejected is None else (row.text, row.rejected.text)


def _labelled(row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer, train_on: TrainOn) -> LabelledRow:
    if row.kind == "document":
        example = _document(row, encoded, tokenizer)
    else:
        example = _conversation(row, encoded, tokenizer, train_on)
    return LabelledRow(rendered=row, encoded=encoded, example=example)


def _document(row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer) -> LabelledExample:
    """BOS where the tokenizer wants one, the text, EOS; every token is trained."""
    first = [tokenizer.bos_id] if tokenizer.adds_bos and tokenizer.bos_id is not None else []
    last = [tokenizer.eos_id] if tokenizer.eos_id is not None else []
    input_ids = np.concatenate((first, encoded.ids, last)).astype(np.int32)
    opening = min(OPENING_TOKENS, max(1, len(input_ids) // OPENING_SHARE))
    return LabelledExample(
        ref=row.ref,
        kind="document",
        input_ids=input_ids,
        labels=input_ids,
        prompt_ids=input_ids[:opening],
        answer_start=opening,
    )


def _conversation(
    row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer, train_on: TrainOn
) -> LabelledExample:
    """A token is trained if it holds any character of a trained turn."""
    is_trained = np.full(len(encoded.ids), train_on == "everything")
    for turn in row.turns[-1:] if train_on == "last_assistant" else row.turns:
        is_trained |= (encoded.starts < turn.end) & (encoded.ends > turn.start)
    start = row.turns[-1].start
    answer_start = int(np.searchsorted(encoded.ends, start, side="right"))
    prompt_ids = encoded.ids[:answer_start]
    if answer_start < len(encoded.ids) and encoded.starts[answer_start] < start:
        prompt_ids = tokenizer.encode(row.text[:start]).ids
    return LabelledExample(
        ref=row.ref,
        kind="conversation",
        input_ids=encoded.ids,
        labels=np.where(is_trained, encoded.ids, np.int32(NOT_TRAINED)),
        prompt_ids=prompt_ids,
        answer_start=answer_start,
        question=row.question,
    )
