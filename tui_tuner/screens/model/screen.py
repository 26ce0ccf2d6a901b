"""The Model station: choose the base model. Lists, bars and words are drawn by the modules beside this one."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from tui_tuner.planning.hub.search import HubModel
from tui_tuner.planning.local_models import LocalAdapter, LocalModel
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.model import details, rows
from tui_tuner.screens.model.adapters import choose_adapter
from tui_tuner.screens.model.catalogue import Entry, entries, entry_facts, name_decision
from tui_tuner.screens.model.help_words import help_words
from tui_tuner.screens.model.memory_panel import MemoryPanel
from tui_tuner.screens.model.messages import Found, Looked
from tui_tuner.screens.outlook import Facts
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.screens.widgets.list_header import ListHeader

HUB_PAUSE = 0.4
"""Seconds without a key before the hub is asked."""
LEAST_TEXT = 3
"""Letters from which a hub search says something."""
NOTHING_HERE = "No models here yet: type a hub id, or put a folder with config.json below this one."
LEAST_LINES = 3
OTHER_LINES = 9
OTHER_LINES_TALL = 18
"""Lines of the panel under and above its list."""
LENGTHS_LINES = 10
"""What the rows of several lengths take, where the list of models leaves that much."""
WAYS_OF_HOLDING = {"auto": "nf4", "nf4": "none", "none": "auto"}


class ModelScreen(Station):
    STATION: ClassVar[StationName | None] = "model"
    CSS_PATH = "model.tcss"
    AUTO_FOCUS = "#models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "find", id="filter"),
        Binding("b", "hold", "4-bit", id="model.4-bit"),
        Binding("n", "mapping", "name mapping", id="model.mapping"),
        Binding("c", "continue_from", "continue adapter", id="model.continue"),
        Binding("p", "find", "path or hub id", id="model.path"),
        Binding("r", "again", "look again", id="again"),
        Binding("escape", "leave_find", "back", show=False, id="back"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._models: tuple[LocalModel, ...] = ()
        self._adapters: tuple[LocalAdapter, ...] = ()
        self._hub: tuple[HubModel, ...] = ()
        self._entries: tuple[Entry, ...] = ()
        self._has_token = False
        self._is_looking = True
        self._said = ""

    def compose_body(self) -> Iterator[Widget]:
        with Horizontal(), Vertical(classes="panel models") as panel:
            panel.border_title = "Models"
            yield Input(
                placeholder="find, or type a folder or a hub id", compact=True, classes="find", select_on_focus=False
            )
            models = LineList(self._draw, name="models", classes="-picker", opens="choose")
            yield ListHeader(lambda width: rows.header(width, self.inks), models, classes="model-header")
            yield models
            yield Static(classes="said muted")
            yield MemoryPanel()
            yield Static(classes="short")
        with VerticalScroll(classes="panel details wide-only", can_focus=False) as about:
            about.border_title = "About"
            yield Static(classes="about")

    @property
    def inks(self) -> Inks:
        return inks_of(self.tuner.theme_variables)

    @property
    def entry(self) -> Entry | None:
        """The line under the cursor."""
        cursor = self.query_one(LineList).cursor
        return self._entries[cursor] if cursor < len(self._entries) else None

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._relist, keeps_cursor=True)

    def wake(self) -> None:
        if not self._models:
            self._look()

    def outlook_changed(self) -> None:
        self._relist(keeps_cursor=True)

    def help_text(self) -> str:
        return help_words(self.entry, self.tuner.outlook)

    # Reading, in threads.

    @work(thread=True, exclusive=True, group="models", exit_on_error=False)
    def _look(self) -> None:
        from tui_tuner.screens.model.reading import look_round

        self.post_message(look_round(self.tuner.environment))

    @on(Looked)
    def looked(self, message: Looked) -> None:
        self._models, self._adapters, self._is_looking = message.models, message.adapters, False
        self._say(message.problem)
        self._relist()
        self._go_to_chosen()

    @work(thread=True, exclusive=True, group="hub", exit_on_error=False)
    def _search(self, text: str) -> None:
        from tui_tuner.screens.model.reading import ask_hub

        self.post_message(ask_hub(text))

    @on(Found)
    def found(self, message: Found) -> None:
        if message.text != self._text:
            return
        self._hub, self._has_token = message.models, message.has_token
        count = f"{len(message.models)} found on the hub"
        self._say(f"{message.problem.message} {message.problem.hint}" if message.problem else count)
        self._relist(keeps_cursor=True)

    # Finding.

    @property
    def _text(self) -> str:
        return self.query_one(Input).value

    @on(Input.Changed)
    def text_changed(self) -> None:
        self._hub = ()
        text = self._text.strip()
        if not self.tuner.environment.can_reach_network:
            self._say("no network: only what is on this machine is listed" if text else "")
        elif len(text) >= LEAST_TEXT:
            self._say("asking the hub…")
            self.set_timer(HUB_PAUSE, lambda: self._search(text) if self._text.strip() == text else None)
        else:
            self._say("")
        self._relist()

    @on(Input.Submitted)
    def text_entered(self) -> None:
        self._choose(self.entry)
        self.query_one(LineList).focus()

    def action_find(self) -> None:
        self.query_one(Input).focus()

    def action_leave_find(self) -> None:
        self.query_one(Input).value = ""
        self.query_one(LineList).focus()
        self._go_to_chosen()

    def action_again(self) -> None:
        self._is_looking = True
        self.tuner.bench.desk.look_again()
        self._look()
        self._show()

    # Choosing.

    def on_line_list_moved(self) -> None:
        self._show()

    def on_line_list_chosen(self) -> None:
        self._choose(self.entry)

    def _choose(self, entry: Entry | None) -> None:
        if entry is not None:
            self.tuner.change_draft(entry.chosen_in(self.tuner.draft))

    def action_hold(self) -> None:
        held = str(self.tuner.draft.get("model", "quantization"))
        self.tuner.set_value(WAYS_OF_HOLDING.get(held, "auto"), "model", "quantization")

    def action_mapping(self) -> None:
        is_off = self.tuner.draft.get("model", "name_mapping") == "off"
        self.tuner.set_value("auto" if is_off else "off", "model", "name_mapping")

    @work(group="dialog", exit_on_error=False)
    async def action_continue_from(self) -> None:
        await choose_adapter(self.tuner, self._adapters, self.inks)

    # Drawing.

    def _relist(self, keeps_cursor: bool = False) -> None:
        before = self.entry.source if self.entry is not None and keeps_cursor else None
        chosen = self.tuner.draft.get("model", "source")
        self._entries = entries(self._models, self._hub, self._text, chosen if not self._is_looking else None)
        listed = self.query_one(LineList)
        listed.redraw(len(self._entries))
        listed.styles.height = max(LEAST_LINES, min(len(self._entries), self._room))
        self.set_class(self.has_class("-tall") and self._room - len(self._entries) >= LENGTHS_LINES, "-roomy")
        place = next((i for i, one in enumerate(self._entries) if one.source == before), None)
        listed.cursor = place if place is not None else listed.cursor if before else 0
        self._show()

    @property
    def _room(self) -> int:
        """Lines that the list may take beside what always stands under it."""
        others = OTHER_LINES_TALL if self.has_class("-tall") else OTHER_LINES
        return self.query_one(".models").content_size.height - others

    def _go_to_chosen(self) -> None:
        draft = self.tuner.draft
        place = next((i for i, one in enumerate(self._entries) if one.is_chosen(draft)), 0)
        self.query_one(LineList).cursor = place

    def _draw(self, index: int, width: int) -> Text:
        entry = self._entries[index]
        return rows.entry_line(entry, entry.is_chosen(self.tuner.draft), width, self.glyphs, self.inks)

    def _say(self, text: str) -> None:
        self._said = text

    def _show(self) -> None:
        """Everything that follows from the line under the cursor."""
        entry, inks = self.entry, self.inks
        panel = self.query_one(".models")
        number = sum(1 for model in self._models if model.base is not None)
        panel.border_title = "Models · looking…" if self._is_looking else f"Models · {number} on this machine"
        panel.border_subtitle = "enter chooses"
        self.query_one(".said", Static).update(shown_line(self._said))
        facts = self._facts(entry) if entry is not None else None
        draft = entry.chosen_in(self.tuner.draft) if entry is not None else self.tuner.draft
        self.query_one(MemoryPanel).show(draft, facts, self.glyphs, inks)
        self._show_about(entry, inks)
        self._show_readout(inks)

    def _facts(self, entry: Entry) -> Facts | None:
        outlook = self.tuner.outlook
        return entry_facts(entry, self.tuner.draft, outlook.facts, self._models)

    def _show_about(self, entry: Entry | None, inks: Inks) -> None:
        self.query_one(".details").border_title = shown_line(entry.name if entry else "About", limit=34)
        if entry is None:
            nothing = "Nothing here fits. A folder or a hub id can be typed." if self._text else NOTHING_HERE
            self.query_one(".about", Static).update(Content("" if self._is_looking else nothing))
            self.query_one(".short", Static).update(Content("" if self._is_looking else nothing))
            return
        view = self._view(entry, inks)
        self.query_one(".about", Static).update(details.about_text(view))
        self.query_one(".short", Static).update(details.short_text(view))

    def _view(self, entry: Entry, inks: Inks) -> details.View:
        draft, outlook = self.tuner.draft, self.tuner.outlook
        facts = self._facts(entry)
        is_chosen = entry.is_chosen(draft)
        return details.View(
            entry=entry,
            base=facts.model.base if facts is not None and facts.model is not None else None,
            name=name_decision(draft, entry, self._models),
            failure=outlook.failure if is_chosen and outlook.plan is None else None,
            is_mapping_off=draft.get("model", "name_mapping") == "off",
            adapter=str(draft.get("model", "adapter") or ""),
            has_token=self._has_token,
            glyphs=self.glyphs,
            inks=inks,
        )

    def _show_readout(self, inks: Inks) -> None:
        self.show_readout(Content.from_rich_text(rows.readout(self.tuner.outlook, self.glyphs, inks)))
