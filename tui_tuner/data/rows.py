"""The rows of a data set on their way from file to labels: raw, converted, or refused. Pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Tools = Sequence[Mapping[str, object]] | None
"""Schemas of the tools that a conversation may call."""
OPTIONAL_FIELDS = ("reasoning_content", "thinking", "tool_calls", "name", "tool_call_id")
"""Of a message, beside role and content."""


@dataclass(frozen=True, slots=True, order=True)
class RowRef:
    """Where a row stands, so that a person can open it."""

    path: str
    line: int
    """Line from 1 in files of lines (the first line of the row); number of the row from 1 elsewhere."""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A row as its file has it: an object with named fields."""

    ref: RowRef
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A row that cannot be used, and why."""

    ref: RowRef
    reason: str

    def __str__(self) -> str:
        return f"{self.ref}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn. Fields that a row does not have are None, and are then not shown to the template."""

    role: str
    content: str | None
    reasoning_content: str | None = None
    thinking: str | None = None
    tool_calls: tuple[Mapping[str, object], ...] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    unread: tuple[str, ...] = ()
    """Names of other fields that say something; neither shown to the template nor trained."""

    @property
    def is_plain(self) -> bool:
        """Whether role and content are all there is."""
        has_thoughts = self.reasoning_content is not None or self.thinking is not None
        has_ids = self.name is not None or self.tool_call_id is not None
        return self.content is not None and self.tool_calls is None and not (has_thoughts or has_ids)

    def as_fields(self) -> dict[str, object]:
        """The message as chat templates take it."""
        fields: dict[str, object] = {"role": self.role, "content": self.content}
        for name in OPTIONAL_FIELDS:
            value = getattr(self, name)
            if value is not None:
                fields[name] = [dict(call) for call in value] if name == "tool_calls" else value
        return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Turns to be rendered by a chat template."""

    ref: RowRef
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, object], ...] | None = None
    """Schemas of the tools that the assistant may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDocument:
    """Plain text, trained from its first to its last token."""

    ref: RowRef
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferencePair:
    """A better and a worse answer to the same prompt."""

    ref: RowRef
    prompt: tuple[Message, ...]
    chosen: tuple[Message, ...]
    rejected: tuple[Message, ...]


Sample = Conversation | TextDocument | PreferencePair
"""What a usable row becomes."""
