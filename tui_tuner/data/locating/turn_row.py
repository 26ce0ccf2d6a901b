"""One assistant turn on its way to being located, and what is found of it. Pure values."""

from dataclasses import dataclass

from tui_tuner.data.rows import Message, Tools

END_OF_THOUGHTS = "</think>"
Messages = tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """One turn of a rendered conversation."""

    messages: Messages
    tools: Tools
    index: int
    text: str
    """The rendering of the whole conversation."""

    @property
    def message(self) -> Message:
        return self.messages[self.index]

    @property
    def is_last(self) -> bool:
        return self.index == len(self.messages) - 1

    @property
    def number(self) -> int:
        """As people count."""
        return self.index + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReply:
    """The end of a reply, and of its turn. `header` is the text before the reply that no other message owns."""

    end: int
    turn_end: int
    header: tuple[int, int] | None = None


def own_text(message: Message) -> str:
    """All that a message says, as it is and, for calls, as Python shows it."""
    said = (message.content, message.reasoning_content, message.thinking)
    return "\n".join([text for text in said if text] + ([repr(message.tool_calls)] if message.tool_calls else []))


def answer_of(message: Message) -> str:
    """The content without thoughts in it, which templates may take out."""
    return (message.content or "").rsplit(END_OF_THOUGHTS, 1)[-1].strip()
