"""What a renderer is asked and what it answers, and how that travels through pipes: pickled, each with its length.

Requests come from us and are trusted. Answers come from a process that has run a stranger's template: reading them
builds nothing but the plain values listed here.
"""

import datetime
import io
import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import IO

from tui_tuner.data.audit.findings import Finding
from tui_tuner.data.audit.second_method import NotApplicable, SecondSpan
from tui_tuner.data.audit.token_facts import TokenFacts
from tui_tuner.data.rendering.rows import RenderedRow
from tui_tuner.data.rows import BadRow, Message, RowRef, Sample, Tools
from tui_tuner.data.turn_endings import TurnEndings
from tui_tuner.data.turns import TurnSpan

LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TemplateProgram:
    """A template with all that decides what it writes. Sent first, once."""

    text: str
    variables: Mapping[str, str]
    name: str
    endings: TurnEndings
    facts: TokenFacts | None = None
    """For the audit of rows; without them none is made."""
    now: datetime.datetime = field(default_factory=datetime.datetime.now)
    """What its clock says, in every process and for every row."""


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """Rows to be rendered; answered by one `RenderedRow` or `BadRow` each, in their order."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One conversation to be rendered as it is; answered by a `RenderedText`."""

    messages: tuple[Message, ...]
    tools: Tools
    add_generation_prompt: bool


@dataclass(frozen=True, slots=True)
class RenderedText:
    """The answer to a `TextRequest`; to a `TemplateProgram` that compiles it is an empty one."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A `DataError` on its way home."""

    message: str
    hint: str
    goes_on_with_subject: bool = False
    """Whether what was being rendered is to be named behind the message, which has no full stop then."""


Request = TemplateProgram | RowsRequest | TextRequest
Answer = RenderedRow | BadRow | RenderedText | Refusal
_ANSWERED = (RenderedRow, BadRow, RenderedText, Refusal, RowRef, TurnSpan, Finding, SecondSpan, NotApplicable)
_BUILDABLE = {(kind.__module__, kind.__qualname__): kind for kind in _ANSWERED}


def write_frame(stream: IO[bytes], value: Request | Answer) -> None:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(LENGTH.pack(len(content)) + content)
    stream.flush()


def read_request(stream: IO[bytes]) -> Request | None:
    """The next request; None where there are no more."""
    content = _frame(stream)
    if content is None:
        return None
    request: Request = pickle.loads(content)
    return request


def read_answer(stream: IO[bytes]) -> Answer | None:
    """The next answer; None where the other side has ended, in the middle of an answer too.

    Raises:
        pickle.UnpicklingError: it is not one of the known values.
    """
    content = _frame(stream)
    if content is None:
        return None
    answer = _AnswerReader(io.BytesIO(content)).load()
    if not isinstance(answer, Answer):
        raise pickle.UnpicklingError(f"an answer is a {type(answer).__name__}")
    return answer


class _AnswerReader(pickle.Unpickler):
    """Knows the values that answers are made of, and no other name."""

    def find_class(self, module: str, name: str) -> type:
        kind = _BUILDABLE.get((module, name))
        if kind is None:
            raise pickle.UnpicklingError(f"an answer names {module}.{name}")
        return kind


def _frame(stream: IO[bytes]) -> bytes | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None
