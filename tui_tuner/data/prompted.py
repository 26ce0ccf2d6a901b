"""The rule for where a generation prompt ends and the model begins, also where prompt and finished row part."""

import re
from dataclasses import dataclass
from functools import lru_cache

TAG = r"</?[|\uff5c]?[A-Za-z][^<>\s]{0,40}>|\[/?[A-Z_]{2,40}\]"
"""What templates write as markers even where the tokenizer has no token for it."""


@dataclass(frozen=True, slots=True)
class Supplied:
    """How many characters of a row's tail the prompt supplies, and what it goes on with where the row does not."""

    length: int
    parts_with: str = ""


def supplied_by_prompt(
    tail: str, header: int, prompt: str, unsplit: re.Pattern[str], is_call: bool = False
) -> Supplied | None:
    """Compare `tail`, a row from some point before a turn, with `prompt`, the generation prompt from the same point.

    The turn's first own character is `tail[header]`. What both share is supplied; from where they part the model has
    to write what the row has. That may be markers, such as those of thoughts (before a call also what belongs to the
    call), but no head of a turn: None where prompt and row part in more than markers.
    """
    if tail.startswith(prompt):
        return Supplied(len(prompt))
    markers = _markers(unsplit)
    crossed = next((match for match in markers.finditer(tail) if match.start() < header < match.end()), None)
    own = tail[: crossed.start() if crossed else header]
    length = _shared(own, prompt, markers)
    rest, expected = own[length:], prompt[length:]
    if own.split() == prompt.split():
        return Supplied(_behind_same_words(own, prompt), expected)
    if not rest.strip() or not expected.strip():
        return Supplied(length, expected.strip() or expected)
    if _end_alike(rest, expected, markers):
        return Supplied(len(own))
    repeated = _repeated(rest, expected, markers)
    if repeated:
        return Supplied(length + repeated)
    if is_call:
        is_head = any(match[0] in rest for match in markers.finditer(expected))
        is_marked = markers.match(rest.lstrip()) is not None and not is_head
    else:
        is_marked = not markers.sub("", rest + expected).strip()
    return Supplied(length, expected.strip()) if is_marked else None


def _shared(own: str, prompt: str, markers: re.Pattern[str]) -> int:
    """Length of what both begin with, no marker cut through."""
    length = next((i for i, (a, b) in enumerate(zip(own, prompt, strict=False)) if a != b), min(len(own), len(prompt)))
    for whole in (own, prompt):
        crossed = next((match for match in markers.finditer(whole) if match.start() < length < match.end()), None)
        length = crossed.start() if crossed else length
    return length


def _behind_same_words(own: str, prompt: str) -> int:
    """Where the model goes on in a row that differs from its prompt by white space, such as an indented line.

    White space at the end of both is supplied as far as the prompt has it; the model writes none behind another one.
    """
    end = len(own.rstrip())
    space, supplied = own[end:], prompt[len(prompt.rstrip()) :]
    return end + len(supplied) if space.startswith(supplied) else len(own)


def _end_alike(rest: str, expected: str, markers: re.Pattern[str]) -> bool:
    """Whether both end in the same marker and what follows it: the model is prompted with what the row has there."""
    last = list(markers.finditer(rest))
    return bool(last) and expected.endswith(rest[last[-1].start() :])


def _repeated(rest: str, expected: str, markers: re.Pattern[str]) -> int:
    """Length of the markers that `rest` begins with and that `expected` ends with: the prompt has more before them."""
    ends = [match.end() for match in markers.finditer(rest)]
    return next((end for end in reversed(ends) if expected.rstrip().endswith(rest[:end].strip())), 0)


@lru_cache(maxsize=16)
def _markers(unsplit: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(f"{unsplit.pattern}|{TAG}")
