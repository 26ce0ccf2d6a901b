"""What many tools do instead: train from each marker of an answer to the next marker of a question, found by search."""

import numpy as np

from tui_tuner.data.chat import ChatTemplate
from tui_tuner.data.rows import Message
from tui_tuner.data.tokenizer import EncodedText
from tui_tuner.errors import DataError

Mask = np.ndarray[tuple[int], np.dtype[np.bool_]]


def markers_by_hand(template: ChatTemplate) -> tuple[str, str] | None:
    """The texts before a question and before an answer, as a person would read them off a rendering with two of each.

    None where the template refuses the probe or has nothing there.
    """
    words = ("qzone", "qztwo", "qzthree", "qzfour")
    roles = ("user", "assistant", "user", "assistant")
    try:
        text = template.render([Message(role=role, content=word) for role, word in zip(roles, words, strict=True)])
    except DataError:
        return None
    if any(text.count(word) != 1 for word in words):
        return None
    answer = text[text.index(words[0]) + len(words[0]) : text.index(words[1])]
    question = text[text.index(words[1]) + len(words[1]) : text.index(words[2])]
    # The person leaves out what closes the turn before: all up to the first line end or marker's end.
    return _head(question), _head(answer)


def searched_mask(text: str, encoded: EncodedText, markers: tuple[str, str]) -> Mask:
    """Tokens between each answer's marker and the next question's marker, ends of turns and line ends included."""
    question, answer = markers
    mask: Mask = np.zeros(len(encoded.ids), dtype=np.bool_)
    position = text.find(answer)
    while answer and position >= 0:
        start = position + len(answer)
        end = text.find(question, start) if question else -1
        end = len(text) if end < 0 else end
        mask |= (encoded.starts < end) & (encoded.ends > start)
        position = text.find(answer, end)
    return mask


def _head(between: str) -> str:
    stripped = between.strip("\n")
    closing = max(stripped.find(">\n"), stripped.find("><"))
    return (stripped[closing + 1 :] if 0 <= closing < len(stripped) - 2 else stripped).lstrip("\n") + (
        "\n" if between.endswith("\n") else ""
    )
