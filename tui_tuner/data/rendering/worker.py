"""A renderer: `python -m tui_tuner.data.rendering.worker` answers requests from its input until that is closed.

Must import neither numpy nor anything that is slow: it starts with every plan.
"""

import sys
from collections.abc import Iterator, Sequence

from tui_tuner.data.chat import ChatTemplate, compile_template
from tui_tuner.data.rendering.frames import (
    Answer,
    Refusal,
    RenderedText,
    Request,
    RowsRequest,
    TemplateProgram,
    TextRequest,
    read_request,
    write_frame,
)
from tui_tuner.data.rendering.limits import REPLACE_IT, bounded_memory, bounded_time, prepare, seconds_for, size_of
from tui_tuner.data.rendering.rows import RenderedRow, RowRenderer
from tui_tuner.data.rows import BadRow, Conversation, RowRef, Sample
from tui_tuner.errors import DataError

NO_REF = RowRef("", 0)
NO_TEMPLATE = ("no chat template was sent to the renderer.", "This is a bug in tuner.")


def main() -> None:
    """Serve until the other side closes the pipe, which it also does by dying."""
    prepare()
    renderer = Renderer()
    while (request := read_request(sys.stdin.buffer)) is not None:
        for answer in renderer.answers(request):
            write_frame(sys.stdout.buffer, answer)


class Renderer:
    """Holds the one template that it was sent."""

    def __init__(self) -> None:
        self._template: ChatTemplate | None = None
        self._rows: RowRenderer | None = None

    def answers(self, request: Request) -> Iterator[Answer]:
        """Answers to one request, each computed within its limits; none after a refusal."""
        try:
            match request:
                case TemplateProgram():
                    yield self._load(request)
                case TextRequest():
                    yield self._text(request)
                case RowsRequest():
                    yield from self._answer_rows(request.samples)
        except DataError as error:
            yield Refusal(error.message, error.hint)
        except MemoryError:
            yield Refusal("The chat template needs too much memory", REPLACE_IT, goes_on_with_subject=True)

    def _load(self, program: TemplateProgram) -> RenderedText:
        length = len(program.text)
        with bounded_memory(length), bounded_time(seconds_for(1, length)):
            self._template = compile_template(program.text, program.variables, program.name, program.now)
            self._rows = RowRenderer(self._template, program.endings, program.facts)
        return RenderedText("")

    def _text(self, request: TextRequest) -> RenderedText:
        if self._template is None:
            raise DataError(*NO_TEMPLATE)
        length = size_of(Conversation(ref=NO_REF, messages=request.messages))[1]
        with bounded_memory(length), bounded_time(seconds_for(1, length)):
            return RenderedText(self._template.render(request.messages, request.tools, request.add_generation_prompt))

    def _answer_rows(self, samples: Sequence[Sample]) -> Iterator[RenderedRow | BadRow]:
        if self._rows is None:
            raise DataError(*NO_TEMPLATE)
        sizes = [size_of(sample) for sample in samples]
        with bounded_memory(sum(length for _, length in sizes)):
            for sample, (num_messages, length) in zip(samples, sizes, strict=True):
                with bounded_time(seconds_for(num_messages, length)):
                    row = self._rows.render(sample)
                yield row


if __name__ == "__main__":
    main()
