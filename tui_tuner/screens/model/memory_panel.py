"""The bars under the list: what the model under the cursor would take, in three ways."""

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.draft import Draft
from tui_tuner.screens.glyphs import Glyphs
from tui_tuner.screens.inks import Inks
from tui_tuner.screens.model.memory import choice_lines, explanation, head_words, memory_choices
from tui_tuner.screens.outlook import Facts, look_ahead
from tui_tuner.screens.recipe.sized_panels import SizedPanel
from tui_tuner.screens.shown import shown_line


class MemoryPanel(Widget):
    """Drawn anew by `show`."""

    can_focus = False

    def compose(self) -> ComposeResult:
        yield Static(classes="memory-head muted")
        yield SizedPanel(classes="memory")
        yield Static(classes="words muted tall-only")

    def show(self, draft: Draft, facts: Facts | None, glyphs: Glyphs, inks: Inks) -> None:
        """`facts` are None where nothing is known of the model yet."""
        head, words = (self.query_one(name, Static) for name in (".memory-head", ".words"))
        bars = self.query_one(SizedPanel)
        if facts is None or facts.model is None or facts.model.base is None:
            head.update(Content("memory to train it: known once its config is here"))
            bars.show(lambda _width, _height: Text())
            words.update(Content())
            return
        outlook = look_ahead(draft, facts)
        head.update(shown_line(head_words(outlook)))
        choices = memory_choices(outlook)
        bars.show(lambda width, _height: choice_lines(choices, width, glyphs, inks))
        words.update(Content(explanation(outlook)))
