"""`?`: what the focused panel is about, with its keys, and the keys that work everywhere. Written from the bindings."""

from collections.abc import Iterator
from typing import ClassVar

from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Markdown, Static

from tui_tuner.screens.dialogs.dialog import Dialog
from tui_tuner.screens.key_names import key_name, label_of
from tui_tuner.screens.look.glyphs import is_plain


class HelpDialog(Dialog[None]):
    """Takes its text from the screen that it is opened over."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q", "leave", "back", show=False, id="help.leave"),
        Binding("down,j", "move(1)", "scroll", key_display="↑ ↓", id="help.down"),
        Binding("up,k", "move(-1)", "up", show=False, id="help.up"),
        Binding("pagedown,ctrl+d,space", "page(1)", "page down", show=False, id="help.page-down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, id="help.page-up"),
        Binding("end,G", "edge(1)", "last", show=False, id="help.last"),
        Binding("home,g", "edge(-1)", "first", show=False, id="help.first"),
    ]

    def __init__(self, screen: Screen[object], focused: Widget | None) -> None:
        super().__init__("Help", classes="-help")
        self._texts = tuple(help_texts(screen, focused))
        self._keys = key_lines(screen)

    def compose_content(self) -> Iterator[Widget]:
        with VerticalScroll(classes="dialog-scroll", can_focus=False):
            for text in self._texts:
                yield Markdown(text, open_links=False)
            yield Static(self._keys)

    def action_move(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_page(self, direction: int) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_relative(y=direction * max(1, scroll.size.height - 1), animate=False)

    def action_edge(self, direction: int) -> None:
        scroll = self.query_one(VerticalScroll)
        scroll.scroll_to(y=scroll.max_scroll_y if direction > 0 else 0, animate=False)


def help_texts(screen: Screen[object], focused: Widget | None) -> Iterator[str]:
    """The focused panel's text, then that of what it stands in, the screen's last. Each may speak of present values."""
    seen: set[str] = set()
    for node in (*(focused.ancestors_with_self if focused else ()), screen):
        live = getattr(node, "help_text", None)
        text = live() if callable(live) else node.HELP if isinstance(node, Widget) else None
        if text and text not in seen:
            seen.add(text)
            yield text


def key_lines(screen: Screen[object]) -> Content:
    """A line for each action that a key can take here: the focused panel's own first, the app's last."""
    own: dict[tuple[object, ...], ActiveBinding] = {}
    everywhere: dict[tuple[object, ...], ActiveBinding] = {}
    for active in screen.active_bindings.values():
        group = everywhere if active.node is screen.app else own
        group.setdefault((active.node, active.binding.action, label_of(active)), active)
    own = dict(sorted(own.items(), key=lambda item: not item[1].binding.show))  # moving about comes last
    here = _lines(own, is_ascii=is_plain(screen.app))
    there = _lines(everywhere, is_ascii=is_plain(screen.app))
    lines = [("Keys here", "bold"), *here, ("", ""), ("Keys everywhere", "bold"), *there]
    return Content("\n").join(Content.styled(text, style) if style else Content(text) for text, style in lines)


def _lines(bindings: dict[tuple[object, ...], ActiveBinding], *, is_ascii: bool) -> Iterator[tuple[str, str]]:
    for active in bindings.values():
        text = label_of(active)
        if text:
            note = "" if active.enabled else "  (not now)"
            yield (
                f"  {active.binding.key_display or key_name(active.binding.key, is_plain=is_ascii):<12} {text}{note}",
                "",
            )
