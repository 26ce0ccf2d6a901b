"""The panel beside the tree: settings, layers, cost and what they mean; and the line under the tree."""

from collections.abc import Iterator

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks
from tui_tuner.screens.outlook import Outlook
from tui_tuner.screens.targets.cost import capacity_words, cost_lines, cost_words
from tui_tuner.screens.targets.ranks import LOOKING, RankChoice, can_choose, rank_choices, rank_lines
from tui_tuner.screens.targets.settings_lines import coverage_lines, setting_lines
from tui_tuner.units import short_count

WIDTH = 38


class RanksPlanned(Message):
    """The draft was planned with other ranks."""

    def __init__(self, choices: tuple[RankChoice, ...]) -> None:
        self.choices = choices
        super().__init__()


class AdapterPanel(VerticalScroll, can_focus=False):
    """Drawn anew by `show`."""

    def __init__(self, classes: str) -> None:
        super().__init__(classes=classes)
        self._planned_for: Outlook | None = None
        self._look: tuple[Glyphs, Inks] | None = None

    def compose(self) -> ComposeResult:
        yield from self._parts()

    def _parts(self) -> Iterator[Widget]:
        for name in ("settings", "coverage", "cost", "words muted"):
            yield Static(classes=name)
        yield Static(classes="ranks tall-only")

    def on_mount(self) -> None:
        self.border_title = "Trainable"
        self.border_subtitle = Content("[ ] rank  ; ' alpha")

    def show(self, outlook: Outlook, glyphs: Glyphs, inks: Inks) -> None:
        adapter, plan = outlook.adapter, outlook.plan
        self.query_one(".settings", Static).update(setting_lines(outlook.draft, adapter, inks))
        coverage, cost, words = (self.query_one(name, Static) for name in (".coverage", ".cost", ".words"))
        if adapter is None or plan is None:
            self.border_title = "Trainable"
            for part in (coverage, cost, words, self.query_one(".ranks", Static)):
                part.update(Content())
            self._planned_for = None
            return
        self.border_title = f"{short_count(adapter.num_trainable)} of {short_count(adapter.num_total)} trainable"
        coverage.update(coverage_lines(adapter, plan.model.num_layers, WIDTH, glyphs, inks))
        cost.update(cost_lines(plan.memory, WIDTH, glyphs, inks))
        words.update(Content(f"{cost_words(plan.memory)}\n\n{capacity_words(outlook)}"))
        self._look = glyphs, inks
        self._show_ranks(outlook)

    def _show_ranks(self, outlook: Outlook) -> None:
        """The ladder is planned in a thread: each rank takes some milliseconds."""
        ranks = self.query_one(".ranks", Static)
        if not self.display or not ranks.display or outlook is self._planned_for:
            return
        self._planned_for = outlook
        ranks.update(Text(LOOKING) if can_choose(outlook) else Text())
        self._plan_ranks(outlook)

    @work(thread=True, exclusive=True, group="ranks", exit_on_error=False)
    def _plan_ranks(self, outlook: Outlook) -> None:
        worker, choices = get_current_worker(), []
        for choice in rank_choices(outlook):
            if worker.is_cancelled:
                return
            choices.append(choice)
        self.post_message(RanksPlanned(tuple(choices)))

    @on(RanksPlanned)
    def ranks_planned(self, message: RanksPlanned) -> None:
        if self._look is not None and self._planned_for is not None:
            self.query_one(".ranks", Static).update(rank_lines(message.choices, *self._look))


def said(outlook: Outlook, is_narrow: bool, glyphs: Glyphs, inks: Inks) -> Text:
    """The line under the tree: what is wrong, what is waited for, or what the figures mean."""
    text = Text(no_wrap=True, overflow="ellipsis")
    problem = next((one for one in outlook.problems if one.path.startswith("adapter")), None)
    if problem is not None:
        return text.append(f"{glyphs.failed} {problem.path} {problem.message}", style=inks.error)
    if outlook.base is None:
        return text  # the tree says what is missing
    if outlook.failure is not None and outlook.plan is None:
        return text.append(f"{glyphs.failed} {outlook.failure.message} {outlook.failure.hint}", style=inks.error)
    if outlook.adapter is not None and outlook.adapter.continues:
        return text.append(f"{glyphs.arrow} as in {outlook.adapter.continues}", style=inks.you)
    return text.append(capacity_words(outlook) if is_narrow else "", style=inks.muted)
