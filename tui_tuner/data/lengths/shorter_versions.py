"""A conversation without its oldest turns. It begins with a question again; system texts and tools stay."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from tui_tuner.data.rendering.limits import size_of
from tui_tuner.data.rows import Conversation, Message, PreferencePair, RowRef, Sample

CHARACTERS_PER_TURN = 10
"""About what templates put around a turn, for estimates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShorterVersions:
    """All versions of one row that drop whole turns from the front, the longest first."""

    sample: Conversation | PreferencePair
    num_system: int
    """Messages before the first turn."""
    starts: tuple[int, ...]
    """Index of the message with which each version begins."""
    sizes: tuple[int, ...]
    """About the characters of each version."""
    full_size: int

    def __len__(self) -> int:
        return len(self.starts)

    def version(self, number: int) -> Sample:
        """Of a preference pair both answers lose the same turns, so that they go on sharing their prompt."""
        start = self.starts[number]
        if isinstance(self.sample, PreferencePair):
            return replace(self.sample, prompt=self._without(self.sample.prompt, start))
        return replace(self.sample, messages=self._without(self.sample.messages, start))

    def num_dropped(self, number: int) -> int:
        """Turns that a version lacks."""
        return self.starts[number] - self.num_system

    def message_of_row(self, number: int, message: int) -> int:
        """Index in the whole row of a message of a version."""
        return message if message < self.num_system else message + self.num_dropped(number)

    def _without(self, messages: tuple[Message, ...], start: int) -> tuple[Message, ...]:
        return (*messages[: self.num_system], *messages[start:])


def shorter_versions(sample: Sample) -> ShorterVersions | None:
    """None for plain text, which has no turns. There may be no version: one exchange cannot lose a turn."""
    match sample:
        case Conversation(messages=messages, tools=tools):
            behind: tuple[Message, ...] = ()
            last = max((index for index, one in enumerate(messages) if one.role == "assistant"), default=0)
        case PreferencePair(prompt=messages, chosen=behind):
            tools, last = None, len(messages)
        case _:
            return None
    num_system = next((index for index, one in enumerate(messages) if one.role != "system"), len(messages))
    starts = tuple(
        index
        for index in range(num_system + 1, last)
        if messages[index].role == "user" and messages[index - 1].role != "user"
    )
    sizes = [_size(sample.ref, (message,)) for message in (*messages, *behind)]
    sums = list(accumulate(reversed(sizes)))[::-1]
    head = _size(sample.ref, (), tools) + sum(sizes[:num_system])
    return ShorterVersions(
        sample=sample,
        num_system=num_system,
        starts=starts,
        sizes=tuple(head + sums[start] for start in starts),
        full_size=head + sums[num_system],
    )


def _size(ref: RowRef, messages: tuple[Message, ...], tools: tuple[Mapping[str, object], ...] | None = None) -> int:
    return size_of(Conversation(ref=ref, messages=messages, tools=tools))[1] + CHARACTERS_PER_TURN
