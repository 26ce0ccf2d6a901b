"""Temperature, top-p, limit, seed and system prompt, for both sides alike."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import ValidationError
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from tui_tuner.hosting.chat.messages import SamplingSettings
from tui_tuner.safe_text import visible
from tui_tuner.screens.chat.kept import ChatSettings
from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.shown import shown_line

FIELDS = (
    ("temperature", "temperature", "0 takes the likeliest token; 0.7 is usual"),
    ("top_p", "top-p", "drawn from the likeliest that add up to it"),
    ("max_tokens", "max tokens", "an answer is cut there"),
    ("seed", "seed", "same seed, same answer"),
)


class SettingsDialog(Dialog[ChatSettings | None]):
    """Answers with the settings, or None where nothing is to change."""

    HELP: ClassVar[str | None] = """\
Both sides are sampled alike, from the same seed, so that what differs is the adapter alone.

The **system prompt** is put before the conversation. Use the one that the data had, if it had one."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,f3", "take", "take", key_display="⏎ F3", id="settings.take"),
        Binding("tab,down", "app.focus_next", "next", id="settings.next"),
        Binding("shift+tab,up", "app.focus_previous", "back", show=False, id="settings.back"),
    ]
    DEFAULT_CSS = """
    SettingsDialog {
        .dialog { width: 76; }
        .settings-row { height: 1; background: $surface; }
        .settings-name { width: 13; color: $foreground; background: $surface; }
        .settings-input { width: 9; background: $panel; color: $foreground; height: 1; margin-right: 1; }
        .settings-why { width: 1fr; color: $muted; background: $surface; text-wrap: nowrap; text-overflow: ellipsis; }
        .settings-input:focus { background: $selected; }
        .settings-head { color: $foreground; background: $surface; padding-top: 1; }
        .settings-system { height: 5; background: $panel; border: none; padding: 0 1; }
        .settings-problem { color: $error; height: 1; background: $surface; }
    }
    """

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__("Settings of both sides")
        self._settings = settings

    def compose_content(self) -> Iterator[Widget]:
        for name, label, why in FIELDS:
            yield _Row(name, label, why, f"{self._settings.sampling.model_dump()[name]:g}")
        yield Static(Content("system prompt"), classes="settings-head")
        yield TextArea(visible(self._settings.system), classes="settings-system", compact=True, tab_behavior="focus")
        yield Static(Content(), classes="settings-problem")

    def on_mount(self) -> None:
        self.query(Input).first().focus()

    @on(Input.Submitted)
    def action_take(self) -> None:
        typed = {one.id or "": one.value.strip().replace(",", "") for one in self.query(Input)}
        try:
            sampling = SamplingSettings.model_validate_strings(typed)
        except ValidationError as error:
            first = error.errors()[0]
            message = f"{first['loc'][0]}: {first['msg']}"
            self.query_one(".settings-problem", Static).update(shown_line(message))
            return
        self.dismiss(ChatSettings(sampling=sampling, system=self.query_one(TextArea).text.strip()))


class _Row(Horizontal):
    """A number with its name before it and what it does after it."""

    def __init__(self, name: str, label: str, why: str, value: str) -> None:
        super().__init__(classes="settings-row")
        self._parts = (name, label, why, value)

    def compose(self) -> ComposeResult:
        name, label, why, value = self._parts
        yield Static(Content(label), classes="settings-name")
        yield Input(value, id=name, classes="settings-input", compact=True)
        yield Static(Content(why), classes="settings-why")
