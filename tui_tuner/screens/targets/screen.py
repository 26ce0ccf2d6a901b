"""The Targets station: what is trained. The tree, its edits and its figures are in the modules beside this one."""

from collections.abc import Callable, Iterator
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.shown import shown_line
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.targets import cost, edits, settings_lines
from tui_tuner.screens.targets.adapter_panel import AdapterPanel, said
from tui_tuner.screens.targets.help_words import help_words, row_words
from tui_tuner.screens.targets.module_tree import NORMS, Chosen, Row, tree_rows
from tui_tuner.screens.targets.tree_lines import row_line
from tui_tuner.screens.widgets.ask_line import PROBLEM, AskLine
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.units import short_count

OF_SHAPE = ("toggle_row", "all_linear", "attention", "rank", "alpha", "layers", "pattern", "variant")
"""Actions that a continued adapter, whose shape is settled, does not allow."""
CHANGES = (*OF_SHAPE, "dropout", "lora_plus", "method")
MARK_SECONDS = 1.5
"""How long a change of the trainable parameters stays marked."""


class TargetsScreen(Station):
    STATION: ClassVar[StationName | None] = "targets"
    CSS_PATH = "targets.tcss"
    AUTO_FOCUS = "#tree"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_row", "toggle", id="toggle"),
        Binding("a", "all_linear", "all linear", id="targets.all"),
        Binding("t", "attention", "attention", id="targets.attention"),
        Binding("left_square_bracket", "rank(-1)", "rank", key_display="[ ]", id="targets.rank-down"),
        Binding("right_square_bracket", "rank(1)", "larger rank", show=False, id="targets.rank-up"),
        Binding("l", "layers", "layers", id="targets.layers"),
        Binding("slash", "pattern", "regex", id="filter"),
        Binding("v", "variant", "variant", id="targets.variant"),
        Binding("semicolon", "alpha(-1)", "alpha", key_display="; '", id="targets.alpha-down"),
        Binding("apostrophe", "alpha(1)", "larger alpha", show=False, id="targets.alpha-up"),
        Binding("d", "dropout", "dropout", id="targets.dropout"),
        Binding("o", "lora_plus", "LoRA+", id="targets.lora-plus"),
        Binding("m", "method", "method", id="targets.method"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[Row, ...] = ()
        self._folded: set[str] = {NORMS}
        self._preview: Outlook | None = None
        self._asking = ""
        self._num_trainable: int | None = None
        self._delta = 0
        self._mark: Timer | None = None

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="panel modules") as panel:
            panel.border_title = "Target modules"
            yield LineList(self._draw, name="tree", classes="-picker", opens="fold")
            yield Static(classes="said")
            yield Static(classes="short")
            yield Static(classes="row-words muted tall-only")
            yield AskLine()
        yield AdapterPanel(classes="panel adapter wide-only")

    @property
    def inks(self) -> Inks:
        return inks_of(self.tuner.theme_variables)

    @property
    def shown(self) -> Outlook:
        """What is drawn: the draft's outlook, or that of what is being typed."""
        return self._preview or self.tuner.outlook

    @property
    def row(self) -> Row | None:
        cursor = self.query_one(LineList).cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def help_text(self) -> str:
        return help_words(self.row, self.tuner.outlook)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in CHANGES and not self._can_change(action):
            return False if self.query_one(AskLine).is_open else None
        return super().check_action(action, parameters)

    def _can_change(self, action: str) -> bool:
        """A model must be known; a continued adapter keeps its shape, and all weights have no targets."""
        draft = self.tuner.draft
        if self.tuner.outlook.base is None or self.query_one(AskLine).is_open:
            return False
        continues = draft.get("model", "adapter") is not None
        if action in OF_SHAPE:
            return not continues and draft.get("adapter", "method") == "lora"
        return action != "method" or not continues

    def rest(self) -> None:
        self._forget_mark()

    def outlook_changed(self) -> None:
        self.refresh_bindings()
        self._show()

    # Changes.

    def action_toggle_row(self) -> None:
        if (row := self.row) is not None:
            self._change(lambda draft, base: edits.toggled(draft, base, row))

    def action_all_linear(self) -> None:
        self._change(lambda draft, _base: edits.all_linear(draft))

    def action_attention(self) -> None:
        self._change(edits.attention_only)

    def action_rank(self, direction: int) -> None:
        self._set(int(edits.stepped(self._value("rank"), edits.RANKS, direction)), "adapter", "rank")

    def action_alpha(self, direction: int) -> None:
        value = self._value("alpha")
        self._set(value * 2 if direction > 0 else value / 2, "adapter", "alpha")

    def action_variant(self) -> None:
        self._set(edits.following(self.tuner.draft.get("adapter", "variant"), edits.VARIANTS), "adapter", "variant")

    def action_dropout(self) -> None:
        self._set(edits.following(self._value("dropout"), edits.DROPOUTS), "adapter", "dropout")

    def action_lora_plus(self) -> None:
        ratio = self.tuner.draft.get("optimizer", "lora_plus_ratio")
        self._set(edits.following(ratio, edits.RATIOS), "optimizer", "lora_plus_ratio")

    def action_method(self) -> None:
        is_full = self.tuner.draft.get("adapter", "method") == "full"
        self._set("lora" if is_full else "full", "adapter", "method")

    def on_line_list_chosen(self) -> None:
        row = self.row
        if row is not None and row.group:
            self._folded ^= {row.group}
            self._show()
        else:
            self.action_toggle_row()

    def _value(self, name: str) -> float:
        return float(self.tuner.draft.get("adapter", name))

    def _set(self, value: object, *path: str) -> None:
        self.tuner.set_value(value, *path)

    def _change(self, edit: Callable[[Draft, BaseModel], Draft]) -> None:
        base = self.tuner.outlook.base
        if base is not None and self._can_change("toggle_row"):
            self.tuner.change_draft(edit(self.tuner.draft, base))

    # Layers and regular expressions, typed with a live preview.

    def action_layers(self) -> None:
        base = self.tuner.outlook.base
        layers = self.tuner.draft.get("adapter", "layers")
        if base is not None:
            value = "all" if layers == "all" else edits.layer_words(layers)
            title = f"Layers that get adapters, of 0-{base.facts.num_layers - 1}: 0-17, last 8, every 2, all"
            self._ask("layers", title, value)

    def action_pattern(self) -> None:
        self._ask("pattern", "Linear modules whose path matches; ! inverts", "")

    def _ask(self, what: str, title: str, value: str) -> None:
        self._asking = what
        self.query_one(AskLine).ask(title, value, self._judge)
        self.refresh_bindings()

    def _typed(self, text: str) -> Draft:
        """Raises ValueError with what is wrong with the text."""
        base = self.tuner.outlook.base
        assert base is not None
        edit = edits.with_typed_layers if self._asking == "layers" else edits.with_pattern
        return edit(self.tuner.draft, base, text) if text else self.tuner.draft

    def _judge(self, text: str) -> str:
        try:
            draft = self._typed(text)
        except ValueError as error:
            self._preview = None
            return f"{PROBLEM} {error}"
        self._preview = look_ahead(draft, self.tuner.outlook.facts)
        adapter = self._preview.adapter
        self._show()
        return f"{len(adapter.targets):,} modules, {short_count(adapter.num_trainable)} parameters" if adapter else ""

    @on(AskLine.Answered)
    def typed(self, event: AskLine.Answered) -> None:
        self._preview = None
        self.tuner.change_draft(self._typed(event.text))
        self.refresh_bindings()
        self._show()

    @on(AskLine.Left)
    def left(self) -> None:
        self._preview = None
        self.refresh_bindings()
        self._show()

    # Drawing.

    def on_line_list_moved(self) -> None:
        self._show_row()
        self.refresh_bindings()

    def _show_row(self) -> None:
        row = self.row
        opens = "fold" if row is not None and row.group else ""  # elsewhere it does what space does
        self.query_one(LineList).key_labels["list.choose"] = opens
        self.query_one(".row-words", Static).update(shown_line(row_words(row), limit=400) if row else Content())

    def _draw(self, index: int, width: int) -> Text:
        if not self._rows:
            words = "reading the model…" if self.shown.is_reading_model else "Choose a model first: 2 goes there."
            return Text(words, style=self.inks.muted)
        row = self._rows[index]
        total = sum(one.num_trained for one in self._rows if one.depth == 0 or one.group == NORMS)
        return row_line(row, total, row.group in self._folded, width, self.glyphs, self.inks)

    def _show(self) -> None:
        outlook = self.shown
        base = outlook.base
        self._rows = tree_rows(base, self._chosen(outlook, base), self._folded) if base is not None else ()
        self.query_one(LineList).redraw(max(1, len(self._rows)))
        self._show_row()
        self._mark_change(outlook)
        inks, glyphs = self.inks, self.glyphs
        self.query_one(".said", Static).update(said(outlook, self.has_class("-narrow"), glyphs, inks))
        self.query_one(".short", Static).update(settings_lines.short_settings(outlook.draft, outlook.adapter, inks))
        self.query_one(AdapterPanel).show(outlook, glyphs, inks)
        names = outlook.draft.get("adapter", "targets")
        words = "all linear modules" if names == "auto" else ", ".join(map(str, names))
        self.query_one(".modules").border_subtitle = shown_line(words, limit=60)
        self._show_readout()

    def _chosen(self, outlook: Outlook, base: BaseModel) -> Chosen:
        if outlook.adapter is not None:
            return Chosen.of(outlook.adapter, base.facts.tied_embeddings)
        return edits.asked(outlook.draft, base)

    def _mark_change(self, outlook: Outlook) -> None:
        """Remember by how much the trainable parameters changed, for a moment."""
        now = outlook.adapter.num_trainable if outlook.adapter is not None else None
        if now is not None and self._num_trainable is not None and now != self._num_trainable:
            self._delta = now - self._num_trainable
            if self._mark is not None:
                self._mark.stop()
            self._mark = self.set_timer(MARK_SECONDS, self._forget_mark)
        self._num_trainable = now if now is not None else self._num_trainable

    def _forget_mark(self) -> None:
        self._delta = 0
        self._show_readout()

    def _show_readout(self) -> None:
        text = cost.readout(self.shown, self._delta, self.glyphs, self.inks)
        self.show_readout(Content.from_rich_text(text))
