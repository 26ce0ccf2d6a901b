"""Renderer processes: started with a clean environment, fed with rows, and gone when the pool is.

Never forks this process, whose threads (torch's among them) a child must not inherit.
"""

import os
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import Self, TypeVar

from tui_tuner.data.rendering.frames import RenderedText, RowsRequest, TemplateProgram, TextRequest
from tui_tuner.data.rendering.process import RendererProcess
from tui_tuner.data.rendering.rows import RenderedRow
from tui_tuner.data.rows import BadRow, Message, Sample, Tools

MOST_PROCESSES = 8
BATCHES_AHEAD = 2
"""Batches for each process that may be under way before the first is taken."""
Tag = TypeVar("Tag")
Rendered = tuple[RenderedRow | BadRow, ...]


class RenderPool:
    """Processes that render with one template. The first starts at once, others when there is work for them.

    Also a context manager; without it the processes end with the last reference to the pool.
    """

    def __init__(self) -> None:
        self._num_processes = max(1, min(MOST_PROCESSES, os.cpu_count() or 1))
        self._threads = ThreadPoolExecutor(self._num_processes, thread_name_prefix="rendering")
        self._started = [RendererProcess()]
        self._idle: SimpleQueue[RendererProcess] = SimpleQueue()
        self._program: TemplateProgram | None = None
        self._end = weakref.finalize(self, _end, self._started, self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are at."""
        self._end()

    def load(self, program: TemplateProgram) -> None:
        """Give the processes their template. Comes first, once.

        Raises:
            DataError: it is not valid, or takes too much time or memory to compile.
        """
        self._program = program
        self._started[0].ask(program, ["the template itself"])
        self._idle.put(self._started[0])

    def render(self, messages: Sequence[Message], tools: Tools = None, add_generation_prompt: bool = False) -> str:
        """The text of one conversation.

        Raises:
            DataError: the template refuses it, or takes too much time or memory.
        """
        process = self._take()
        request = TextRequest(tuple(messages), tools, add_generation_prompt)
        (answer,) = process.ask(request, ["the conversation"])
        self._idle.put(process)
        if not isinstance(answer, RenderedText):
            raise TypeError(f"a renderer answers {type(answer).__name__} where a text was asked for")
        return answer.text

    def rows(self, batches: Iterable[tuple[Tag, Sequence[Sample]]]) -> Iterator[tuple[Tag, Rendered]]:
        """Render batches side by side; they come back in their order, each with its tag.

        Raises:
            DataError: the template takes too much time or memory for a row, which is named.
        """
        under_way: deque[tuple[Tag, Future[Rendered]]] = deque()
        try:
            for tag, samples in batches:
                under_way.append((tag, self._threads.submit(self._render_rows, tuple(samples))))
                if len(under_way) > BATCHES_AHEAD * self._num_processes:
                    first, rendered = under_way.popleft()
                    yield first, rendered.result()
            while under_way:
                first, rendered = under_way.popleft()
                yield first, rendered.result()
        finally:
            for _, rendered in under_way:
                rendered.cancel()

    def _render_rows(self, samples: tuple[Sample, ...]) -> Rendered:
        process = self._take()
        answers = process.ask(RowsRequest(samples), [str(sample.ref) for sample in samples])
        self._idle.put(process)
        rows = tuple(answer for answer in answers if isinstance(answer, RenderedRow | BadRow))
        if len(rows) != len(samples):
            raise TypeError("a renderer answers something else where rows were asked for")
        return rows

    def _take(self) -> RendererProcess:
        """An idle process, or a new one; there are never more callers than processes allowed."""
        try:
            return self._idle.get_nowait()
        except Empty:
            process = RendererProcess()
            self._started.append(process)
        if self._program is not None:
            process.ask(self._program, ["the template itself"])
        return process


def _end(processes: list[RendererProcess], threads: ThreadPoolExecutor) -> None:
    threads.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.end()
