"""The tokens of one row: read and laid out by a thread, so that keys never wait for a long one."""

from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.worker import get_current_worker

from tui_tuner.data.looking.token_reader import TokenReader
from tui_tuner.errors import TunerError
from tui_tuner.safe_text import one_line, visible
from tui_tuner.screens.data.help_words import sample_help
from tui_tuner.screens.data.labels import Labels, Sample, read_sample
from tui_tuner.screens.data.sample_lines import Mode
from tui_tuner.screens.data.sample_text import Page, sample_page, sample_title, sample_total
from tui_tuner.screens.data.token_inks import token_inks
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import inks_of
from tui_tuner.screens.terminal.clipboard import copy_text
from tui_tuner.screens.widgets.line_list import LineList

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp


class SamplePanel(Vertical):
    """Shows the row that was asked for last; the one before it stands until that is read."""

    class Read(Message):
        """A row was read and laid out."""

        def __init__(self, sample: Sample | None, lines: list[Text], mode: Mode) -> None:
            self.sample = sample
            self.lines = lines
            self.mode: Mode = mode
            super().__init__()

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(classes="panel sample")
        self._glyphs = glyphs
        self.sample: Sample | None = None
        self._lines: list[Text] = []
        self._wanted: tuple[Labels, int, Mode, TokenReader] | None = None
        self._asked: tuple[object, ...] = ()
        self._reader: TokenReader | None = None

    def compose(self) -> ComposeResult:
        yield LineList(lambda index, _width: self._lines[index].copy(), name="tokens")

    @property
    def listed(self) -> LineList:
        return self.query_one("#tokens", LineList)

    def on_resize(self) -> None:
        self.call_after_refresh(self._ask_again)

    def _ask_again(self) -> None:
        """Lay the row out for another width; before there is one nothing can be."""
        if self._wanted is not None:
            self.ask(*self._wanted)

    def ask(self, labels: Labels, row: int, mode: Mode, reader: TokenReader) -> None:
        """Read a row, unless it is the one that stands here already."""
        self._wanted = (labels, row, mode, reader)
        look, width = labels.look, self.listed.scrollable_content_region.width
        if look is None or not width:
            return
        asked = (row, mode, width, look.folder, labels.fit, look.is_done, self.app.theme)
        if asked == self._asked:
            return
        self._asked, self._reader = asked, reader
        variables = self.app.theme_variables
        is_underlined = self._glyphs.name == "ascii" or "ansi" in self.app.theme or self.app.no_color
        page = Page(
            width=width,
            mode=mode,
            glyphs=self._glyphs,
            inks=inks_of(variables),
            tokens=token_inks(variables, is_underlined=is_underlined),
            special_ids=frozenset(look.state.special_ids),
            stop_ids=frozenset(look.state.stop_ids),
        )
        self._read(labels, row, page, reader)

    @work(thread=True, exclusive=True, group="sample", exit_on_error=False)
    def _read(self, labels: Labels, row: int, page: Page, reader: TokenReader) -> None:
        worker = get_current_worker()
        sample: Sample | None = None
        lines: list[Text] = []
        try:
            sample = read_sample(labels, row)
            if sample is not None and not worker.is_cancelled:
                lines = sample_page(sample, reader, page)
        except (TunerError, OSError) as error:
            words = error.message if isinstance(error, TunerError) else f"The row cannot be read: {error.strerror}."
            lines = [Text(one_line(words))]
        if not worker.is_cancelled:
            self.post_message(self.Read(sample, lines, page.mode))

    def on_sample_panel_read(self, message: Read) -> None:
        before, self.sample, self._lines = self.sample, message.sample, message.lines
        self.border_title = Content(sample_title(message.sample, message.mode))
        self.border_subtitle = Content(sample_total(message.sample))
        self.listed.redraw(len(self._lines))
        if before is None or message.sample is None or before.row != message.sample.row:
            self.listed.cursor = 0
            self.listed.scroll_to(y=0, animate=False)

    @work(thread=True, exclusive=True, group="copy", exit_on_error=False)
    def copy(self) -> None:
        """Copy the text of the whole row."""
        if self.sample is not None and self._reader is not None:
            text = visible("".join(self._reader.texts(self.sample.whole.ids.tolist())))
            app: TunerApp = self.app  # type: ignore[assignment]
            app.call_later(copy_text, app, text)

    def help_text(self) -> str:
        return sample_help(self.sample)
