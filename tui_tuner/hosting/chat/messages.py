"""What the process with the model and its caller say to each other: one JSON object a line, both ways."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Side = Literal["base", "tuned"]
SIDES: tuple[Side, ...] = ("base", "tuned")
StopReason = Literal["end", "length", "stopped", "failed"]
"""The model ended its turn; the limit on tokens did; the person did; it could not be answered."""


class ChatValue(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ChatTurn(ChatValue):
    """What somebody said."""

    role: Literal["system", "user", "assistant"]
    content: str


class SamplingSettings(ChatValue):
    """How both sides choose their tokens."""

    temperature: float = Field(default=0.7, ge=0, le=5)
    """0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1, le=32_768)
    seed: int = Field(default=0, ge=0, lt=2**63)


class Ask(ChatValue):
    """Answer on each side that has turns; both grow in turn, from the same seed."""

    kind: Literal["ask"] = "ask"
    number: int
    """Comes back with every piece, so that late ones are known as such."""
    base: tuple[ChatTurn, ...] = ()
    tuned: tuple[ChatTurn, ...] = ()
    sampling: SamplingSettings


class StopAnswers(ChatValue):
    """End the answers that grow."""

    kind: Literal["stop"] = "stop"


ChatRequest = Annotated[Ask | StopAnswers, Field(discriminator="kind")]


class ChatReady(ChatValue):
    """The model is loaded."""

    kind: Literal["ready"] = "ready"
    base_model: str
    has_adapter: bool
    device: str
    template: str
    seconds: float


class AnswerGrew(ChatValue):
    """More of an answer, and how far it is."""

    kind: Literal["grew"] = "grew"
    number: int
    side: Side
    text: str
    num_tokens: int
    seconds: float
    """Spent on this side alone."""


class AnswerEnded(ChatValue):
    kind: Literal["ended"] = "ended"
    number: int
    side: Side
    reason: StopReason
    num_tokens: int
    num_prompt_tokens: int
    seconds: float
    problem: str = ""


class ChatFailed(ChatValue):
    """The model cannot be loaded, or its process is gone; nothing more comes."""

    kind: Literal["failed"] = "failed"
    message: str
    hint: str = ""
    detail: str = ""
    """The last lines of what the process printed."""


ChatEvent = Annotated[ChatReady | AnswerGrew | AnswerEnded | ChatFailed, Field(discriminator="kind")]
_REQUESTS: TypeAdapter[Any] = TypeAdapter(ChatRequest, config=ConfigDict(defer_build=True))
_EVENTS: TypeAdapter[Any] = TypeAdapter(ChatEvent, config=ConfigDict(defer_build=True))


def chat_request_from_json(line: bytes) -> ChatRequest:
    """Raises ValueError for anything else."""
    request: ChatRequest = _REQUESTS.validate_json(line)
    return request


def chat_event_from_json(line: bytes) -> ChatEvent:
    """Raises ValueError for anything else."""
    event: ChatEvent = _EVENTS.validate_json(line)
    return event
