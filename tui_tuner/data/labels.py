"""Token ids and labels of each row. A label is the token itself where it is trained and -100 elsewhere, unshifted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from tui_tuner.data.rendering.rows import RenderedRow, RowKind
from tui_tuner.data.rows import BadRow, RowRef
from tui_tuner.data.tokenizer import EncodedText, IntArray, TextTokenizer

NOT_TRAINED = -100
TrainOn = Literal["assistant", "last_assistant", "everything"]
OPENING_SHARE = 4
"""A document's prompt for sampling is its first quarter, at most `OPENING_TOKENS`."""
OPENING_TOKENS = 32


@dataclass(frozen=True, kw_only=True, eq=False)
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

    @cached_property
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
    rows: Sequence[RenderedRow | BadRow], tokenizer: TextTokenizer, train_on: TrainOn, source: int = 0
) -> Iterator[LabelledRow | BadRow]:
    """Label rendered rows of one source in their order, tokenised together.

    One that trains nothing becomes a `BadRow`.
    """
    good = [row for row in rows if isinstance(row, RenderedRow)]
    encoded = iter(tokenizer.encode_batch([text for row in good for text in _texts(row)]))
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        labelled = _labelled(row, next(encoded), tokenizer, train_on, source)
        if row.rejected is not None:
            rejected = _labelled(row.rejected, next(encoded), tokenizer, train_on, source)
            labelled = replace(labelled, rejected=rejected)
        is_trained = labelled.example.num_trained > 0
        yield labelled if is_trained else BadRow(ref=row.ref, reason="no token of this row is trained")


def _texts(row: RenderedRow) -> tuple[str, ...]:
    return (row.text,) if row.rejected is None else (row.text, row.rejected.text)


def _labelled(
    row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer, train_on: TrainOn, source: int
) -> LabelledRow:
    if row.kind == "document":
        example = _document(row, encoded, tokenizer, source)
    else:
        example = _conversation(row, encoded, tokenizer, train_on, source)
    return LabelledRow(rendered=row, encoded=encoded, example=example)


def _document(row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer, source: int) -> LabelledExample:
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
        source=source,
    )


def _conversation(
    row: RenderedRow, encoded: EncodedText, tokenizer: TextTokenizer, train_on: TrainOn, source: int
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
        source=source,
    )
