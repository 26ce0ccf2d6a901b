"""What each token of a row stands for, one by one, for people to look at."""

from collections.abc import Sequence

from tui_tuner.data.tokenizer import IntArray, TextTokenizer

HALF_CHARACTER = "\ufffd"


def token_texts(ids: Sequence[int] | IntArray, tokenizer: TextTokenizer) -> list[str]:
    """The text that each token adds to those before it; all together are the row.

    A token that ends within a character adds nothing, the one that completes it adds the character.
    """
    texts: list[str] = []
    start = written = 0
    for end in range(1, len(ids) + 1):
        before = tokenizer.decode(ids[start:written])
        text = tokenizer.decode(ids[start:end])
        if text.endswith(HALF_CHARACTER) and end < len(ids):
            texts.append("")
        else:
            texts.append(text[len(before) :])
            start, written = written, end
    return texts
