"""The bars under the list: what the model under the cursor would take, in three ways."""

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks
from tui_tuner.screens.model.memory import choice_lines, explanation, head_words, memory_choices
from tui_tuner.screens.model.row_lengths import LengthChoice, length_choices, length_lines
from tui_tuner.screens.outlook import Facts, Outlook, look_ahead
from tui_tuner.screens.recipe.sized_panels import SizedPanel
from tui_tuner.screens.shown import shown_line

LOOKING = "one row at a time: looking…"


class LengthsPlanned(Message):
    """Rows of several lengths were planned, each by itself."""

    def __init__(self, choices: tuple[LengthChoice, ...]) -> None:
        self.choices = choices
        super().__init__()


class MemoryPanel(Widget):
    """Drawn anew by `show`."""

    can_focus = False

    def __init__(self) -> None:
        super().__init__()
        self._planned_for: tuple[Draft, Facts] | None = None
        self._look: tuple[Glyphs, Inks] | None = None

    def compose(self) -> ComposeResult:
        yield Static(classes="memory-head muted")
        yield SizedPanel(classes="memory")
        yield Static(classes="words muted tall-only")
        yield SizedPanel(classes="row-lengths")

    def show(self, draft: Draft, facts: Facts | None, glyphs: Glyphs, inks: Inks) -> None:
        """`facts` are None where nothing is known of the model yet."""
        head, words = (self.query_one(name, Static) for name in (".memory-head", ".words"))
        bars = self.query_one(SizedPanel)
        if facts is None or facts.model is None or facts.model.base is None:
            head.update(Content("memory to train it: known once its config is here"))
            bars.show(lambda _width, _height: Text())
            words.update(Content())
            self._planned_for = None
            self.lengths_planned(LengthsPlanned(()))
            return
        outlook = look_ahead(draft, facts)
        head.update(shown_line(head_words(outlook)))
        choices = memory_choices(outlook)
        bars.show(lambda width, _height: choice_lines(choices, width, glyphs, inks))
        words.update(Content(explanation(outlook)))
        self._look = glyphs, inks
        if self.query_one(".row-lengths").display and self._planned_for != (draft, facts):
            self._planned_for = draft, facts
            self.query_one(".row-lengths", SizedPanel).show(lambda _width, _height: Text(LOOKING, style=inks.muted))
            self._plan_lengths(outlook)

    @work(thread=True, exclusive=True, group="lengths", exit_on_error=False)
    def _plan_lengths(self, outlook: Outlook) -> None:
        worker, choices = get_current_worker(), []
        for choice in length_choices(outlook):
            if worker.is_cancelled:
                return
            choices.append(choice)
        self.post_message(LengthsPlanned(tuple(choices)))

    @on(LengthsPlanned)
    def lengths_planned(self, message: LengthsPlanned) -> None:
        panel = self.query_one(".row-lengths", SizedPanel)
        if self._look is None or not message.choices:
            panel.show(lambda _width, _height: Text())
            return
        glyphs, inks = self._look
        panel.show(lambda width, _height: length_lines(message.choices, width, glyphs, inks))
