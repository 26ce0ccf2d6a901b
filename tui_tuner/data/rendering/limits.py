"""The bounds that a renderer process sets on itself before it touches a template. The kernel ends what breaks them."""

import resource
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tui_tuner.data.rows import Conversation, Message, PreferencePair, Sample, Tools

REPLACE_IT = "Use another template; this one cannot be trusted."
"""What to do about a template that breaks a bound."""
CPU_SECONDS = 1.5
SECONDS_PER_MESSAGE_PAIR = 1e-4
SECONDS_PER_CHARACTER_AND_MESSAGE = 2e-8
"""A row is rendered up to its every turn, so that honest work grows with the square of its turns."""
WALL_FACTOR = 15
"""Wall time for each second of computing: machines are shared, and may swap."""
MEMORY = 256 * 2**20
"""Bytes of address space beyond what an idle renderer has; what a row needs for its own text comes on top."""
MEMORY_PER_CHARACTER = 64
MOST_WRITTEN = 2**16
"""Bytes of a file: enough for a traceback."""


def prepare() -> None:
    """Leave interrupts to the parent, and no files behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_WRITTEN, MOST_WRITTEN))


@contextmanager
def bounded_memory(num_characters: int) -> Iterator[None]:
    """Raise MemoryError where the body takes more than texts of this length can need."""
    limit = _address_space() + MEMORY + MEMORY_PER_CHARACTER * num_characters
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@contextmanager
def bounded_time(seconds: float) -> Iterator[None]:
    """End the process where the body computes for longer.

    Timers with no handler: the kernel kills even where a single operation never returns to the interpreter.
    """
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, WALL_FACTOR * seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def seconds_for(num_messages: int, num_characters: int) -> float:
    """Seconds of computing that a row of this size may take."""
    per_message = num_messages * SECONDS_PER_MESSAGE_PAIR + num_characters * SECONDS_PER_CHARACTER_AND_MESSAGE
    return CPU_SECONDS + num_messages * per_message


def size_of(sample: Sample) -> tuple[int, int]:
    """Messages and characters of a row."""
    match sample:
        case Conversation():
            return len(sample.messages), _characters(sample.messages, sample.tools)
        case PreferencePair():
            messages = (*sample.prompt, *sample.chosen, *sample.prompt, *sample.rejected)
            return len(messages), _characters(messages)
        case _:
            return 1, len(sample.text)


def _characters(messages: Iterable[Message], tools: Tools = None) -> int:
    texts = sum(
        len(message.content or "") + len(message.reasoning_content or "") + len(message.thinking or "")
        for message in messages
    )
    calls = sum(len(repr(message.tool_calls)) for message in messages if message.tool_calls)
    return texts + calls + (len(repr(tools)) if tools else 0)


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()
