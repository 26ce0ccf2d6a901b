"""The Recipe station: the whole recipe as a form, and the start of the run. Lines and values are made beside this."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.recipe.schema import allowed_words
from tui_tuner.screens.dialogs.pick import Pick
from tui_tuner.screens.draft_file import draft_toml
from tui_tuner.screens.look.inks import Inks, inks_of
from tui_tuner.screens.outlook import Outlook, look_ahead
from tui_tuner.screens.recipe import field_values, side_panels
from tui_tuner.screens.recipe.field_words import field_words
from tui_tuner.screens.recipe.files import open_recipe, save_recipe
from tui_tuner.screens.recipe.form_lines import cut_after, explanation, form_line
from tui_tuner.screens.recipe.form_rows import FormRow, form_rows
from tui_tuner.screens.recipe.help_words import help_words
from tui_tuner.screens.recipe.presets import presets, preview
from tui_tuner.screens.recipe.sized_panels import SizedPanel
from tui_tuner.screens.recipe.toml_view import TomlView
from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName
from tui_tuner.screens.widgets.ask_line import PROBLEM, AskLine
from tui_tuner.screens.widgets.line_list import LineList


class RecipeScreen(Station):
    STATION: ClassVar[StationName | None] = "recipe"
    CSS_PATH = "recipe.tcss"
    AUTO_FOCUS = "#form"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("minus", "nudge(-1)", "nudge", key_display="- +", id="nudge.down"),
        Binding("plus", "nudge(1)", "one step up", show=False, id="nudge.up"),
        Binding("equals_sign", "default", "default", id="recipe.default"),
        Binding("p", "presets", "presets", id="recipe.presets"),
        Binding("g", "start", "go", id="recipe.go", priority=True),
        Binding("v", "view", "TOML", id="recipe.toml"),
        Binding("w", "save", "write", id="recipe.write"),
        Binding("o", "open", "open", id="recipe.open"),
        Binding("n", "next_problem", "next problem", show=False, id="recipe.next-problem"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._rows: tuple[FormRow, ...] = ()
        self._preview: Outlook | None = None

    def compose_body(self) -> Iterator[Widget]:
        with Vertical(classes="panel form") as panel:
            panel.border_title = "Recipe"
            yield LineList(self._draw, name="form", classes="-picker", opens="edit")
            yield SizedPanel(classes="explain")
            yield AskLine()
        with Vertical(classes="side"):
            with Vertical(classes="panel curve-panel") as panel:
                panel.border_title = "Learning rate"
                yield SizedPanel(classes="curve")
            with Vertical(classes="panel memory-panel") as panel:
                panel.border_title = "Memory"
                yield SizedPanel(classes="memory")
            with Vertical(classes="panel run-panel tall-only") as panel:
                panel.border_title = "Run"
                yield Static(classes="run")

    @property
    def inks(self) -> Inks:
        return inks_of(self.tuner.theme_variables)

    @property
    def shown(self) -> Outlook:
        """What is drawn: the draft's outlook, or that of what is being typed."""
        return self._preview or self.tuner.outlook

    @property
    def row(self) -> FormRow | None:
        cursor = self.query_one(LineList).cursor
        return self._rows[cursor] if cursor < len(self._rows) else None

    def help_text(self) -> str:
        return help_words(self.row, self.tuner.outlook)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ACTIONS and self.query_one(AskLine).is_open:
            return False
        if action in ("nudge", "default") and (self.row is None or self.row.is_head):
            return None
        return super().check_action(action, parameters)

    def outlook_changed(self) -> None:
        self._show()

    # Editing.

    def on_line_list_chosen(self) -> None:
        row = self.row
        if row is None or row.schema is None:
            return
        if field_values.is_pick(row.schema):
            self._pick(row)
        else:
            title = f"{row.title}: {allowed_words(row.schema)}"
            self.query_one(AskLine).ask(title, field_values.edit_text(row.value), self._judge)
            self.refresh_bindings()

    @work(group="dialog", exit_on_error=False)
    async def _pick(self, row: FormRow) -> None:
        assert row.schema is not None
        values = field_values.picks(row.schema)
        lines = [Text(field_values.value_words(value), style=self.inks.plain) for value in values]
        at = values.index(row.value) if row.value in values else 0
        note = field_words(row.dotted, self.tuner.outlook.plan)
        answer = await self.app.push_screen_wait(Pick(row.title, lines, at, [note] * len(lines)))
        if answer is not None:
            self._set(row, values[answer])

    def _judge(self, text: str) -> str:
        """What the text would do; the panels beside the form show it already."""
        row = self.row
        assert row is not None and row.schema is not None
        try:
            value = field_values.parse(text, row.schema, row.value)
        except ValueError as error:
            return f"{PROBLEM} {error}"
        draft = field_values.with_field(self.tuner.draft, row.path, value)
        if problem := field_values.problem_of(draft, row.path):
            return f"{PROBLEM} {problem}"
        self._preview = look_ahead(draft, self.tuner.outlook.facts)
        self._show_panels()
        return field_words(row.dotted, self._preview.plan)

    @on(AskLine.Answered)
    def typed(self, event: AskLine.Answered) -> None:
        row = self.row
        self._preview = None
        if row is not None and row.schema is not None:
            self._set(row, field_values.parse(event.text, row.schema, row.value))
        self.refresh_bindings()

    @on(AskLine.Left)
    def left(self) -> None:
        self._preview = None
        self.refresh_bindings()
        self._show()

    def action_nudge(self, direction: int) -> None:
        row = self.row
        if row is not None and row.schema is not None:
            value = field_values.nudged(row, direction)
            draft = field_values.with_field(self.tuner.draft, row.path, value)
            if not field_values.problem_of(draft, row.path):
                self.tuner.change_draft(draft, row.path)

    def action_default(self) -> None:
        if (row := self.row) is not None and not row.is_head:
            self.tuner.change_draft(self.tuner.draft.without(*row.path))

    def _set(self, row: FormRow, value: object) -> None:
        self.tuner.change_draft(field_values.with_field(self.tuner.draft, row.path, value))

    def action_next_problem(self) -> None:
        listed = self.query_one(LineList)
        wrong = [number for number, row in enumerate(self._rows) if row.problem]
        if wrong:
            listed.cursor = next((number for number in wrong if number > listed.cursor), wrong[0])

    # The recipe as a whole.

    @work(group="dialog", exit_on_error=False)
    async def action_presets(self) -> None:
        outlook, inks = self.tuner.outlook, self.inks
        offered = presets(outlook)
        lines = [Text(one.name, style=inks.plain) for one in offered]
        notes = [preview(one, outlook, self.glyphs, inks) for one in offered]
        answer = await self.app.push_screen_wait(Pick("Presets", lines, 0, notes))
        if answer is not None:
            self.tuner.change_draft(offered[answer].applied_to(self.tuner.draft))
            self.tuner.notify(f"{offered[answer].name}: u takes it back", markup=False)

    def action_view(self) -> None:
        self.app.push_screen(TomlView(draft_toml(self.tuner.draft)))

    @work(group="dialog", exit_on_error=False)
    async def action_save(self) -> None:
        await save_recipe(self.tuner)

    @work(group="dialog", exit_on_error=False)
    async def action_open(self) -> None:
        await open_recipe(self.tuner)

    def action_start(self) -> None:
        self.tuner.start_run()

    # Drawing.

    def on_line_list_moved(self) -> None:
        self._show_explanation()
        self.refresh_bindings()

    def _draw(self, index: int, width: int) -> Text:
        return form_line(self._rows[index], width, self.glyphs, self.inks)

    def _show(self) -> None:
        outlook = self.tuner.outlook
        is_first = not self._rows
        self._rows = form_rows(outlook)
        listed = self.query_one(LineList)
        listed.redraw(len(self._rows))
        if is_first:
            listed.cursor = 1  # the first field, not the head above it
            self.call_after_refresh(listed.scroll_to, y=0, animate=False)
        panel = self.query_one(".form")
        number = sum(1 for row in self._rows if row.is_set)
        wrong = sum(1 for row in self._rows if row.problem)
        panel.border_title = f"Recipe · {number} set · {wrong} to mend" if wrong else f"Recipe · {number} set"
        panel.border_subtitle = Content(f"{self.glyphs.running} differs from its default")
        self._show_explanation()
        self._show_panels()

    def _show_explanation(self) -> None:
        row = self.row
        live = field_words(row.dotted, self.shown.plan) if row is not None else ""
        text = explanation(row, live, self.glyphs, self.inks) if row is not None else Text()
        panel = self.query_one(".explain", SizedPanel)
        panel.show(lambda width, height: cut_after(list(text.wrap(self.app.console, max(1, width))), width, height))

    def _show_panels(self) -> None:
        outlook, inks, glyphs = self.shown, self.inks, self.glyphs
        plan = outlook.plan
        self.show_readout(Content.from_rich_text(side_panels.readout(outlook, self.size.width - 2, glyphs, inks)))
        curve_panel, memory_panel = self.query_one(".curve-panel"), self.query_one(".memory-panel")
        curve, bars = self.query_one(".curve", SizedPanel), self.query_one(".memory", SizedPanel)
        self.query_one(".run", Static).update(side_panels.run_lines(outlook, inks))
        if plan is None:
            waiting = "reading…" if outlook.is_reading_model else "known once a model is chosen (2)"
            curve.show(lambda _width, _height: Text(f" {waiting}", style=inks.muted))
            bars.show(lambda _width, _height: Text(waiting, style=inks.muted))
            return
        curve_panel.border_title = side_panels.curve_title(plan)
        curve_panel.border_subtitle = side_panels.curve_subtitle(plan)
        memory_panel.border_title = "Memory · an estimate"
        curve.show(lambda width, height: side_panels.curve(plan, width, height, glyphs, inks))
        bars.show(lambda width, _height: side_panels.memory_lines(plan.memory, width, glyphs, inks))


ACTIONS = ("nudge", "default", "presets", "start", "view", "save", "open", "next_problem")
