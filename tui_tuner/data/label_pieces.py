"""A labelled row as text again: runs of trained and of masked tokens, for people to look at."""

from collections.abc import Iterator
from itertools import groupby

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.tokenizer import TextTokenizer


def label_pieces(example: LabelledExample, tokenizer: TextTokenizer) -> Iterator[tuple[str, bool]]:
    """(text, is trained) of consecutive tokens of one kind; all pieces together are the row, control tokens included.

    Each piece is what its tokens add to the text before them: alone, a piece may decode differently (a leading space,
    half a character).
    """
    end, written = 0, ""
    for is_trained, tokens in groupby(example.labels.tolist(), key=lambda label: label != NOT_TRAINED):
        end += len(list(tokens))
        text = tokenizer.decode(example.input_ids[:end])
        yield text[len(written) :], is_trained
        written = text
