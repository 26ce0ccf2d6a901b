"""The panel with the journal of a run."""

from collections.abc import Callable

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from tui_tuner.events import RunState
from tui_tuner.safe_text import one_line
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.train.help_words import journal_help
from tui_tuner.screens.train.journal_lines import JournalLine, journal_lines
from tui_tuner.screens.widgets.line_list import LineList


class JournalPanel(Vertical):
    """All that happened but the steps, newest first."""

    def __init__(self, glyphs: Callable[[], Glyphs]) -> None:
        super().__init__(classes="panel train-journal")
        self.border_title = Content("Journal")
        self._glyphs = glyphs
        self._state = RunState()
        self._lines: list[JournalLine] = []
        self._inks: Inks | None = None

    def compose(self) -> ComposeResult:
        yield LineList(self._draw, name="journal")

    def help_text(self) -> str:
        return journal_help(self._state)

    def show_state(self, state: RunState) -> None:
        self._state = state
        self._inks = inks_of(self.app.theme_variables)
        lines = journal_lines(state)
        if lines != self._lines:
            self._lines = lines
            self.query_one(LineList).redraw(len(lines))

    def _draw(self, index: int, width: int) -> Text:
        line, glyphs = self._lines[index], self._glyphs()
        inks = self._inks or inks_of(self.app.theme_variables)
        tones = {
            "plain": inks.plain,
            "good": inks.success,
            "warn": inks.warning,
            "bad": inks.error,
            "quiet": inks.muted,
        }
        sign = {"warn": glyphs.attention, "bad": glyphs.failed, "good": glyphs.done}.get(line.tone, " ")
        return Text.assemble(
            (f"{line.clock} ", inks.muted),
            (f"{sign} ", tones[line.tone]),
            (f"{line.head:<12} ", inks.muted),
            (one_line(line.text, width), tones[line.tone]),
            no_wrap=True,
        )
