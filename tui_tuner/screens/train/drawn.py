"""A panel that is drawn line by line and paints only the lines that changed: a living run is drawn all the time."""

from collections.abc import Callable

from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.look.inks import Inks, inks_of

Draw = Callable[[Size, Glyphs, Inks], list[Text]]


class Drawn(Widget):
    """A panel whose content is drawn to its size, anew whenever `show` gives it something to draw."""

    def __init__(self, title: str, glyphs: Callable[[], Glyphs], classes: str, *, has_focus: bool = False) -> None:
        super().__init__(classes=f"panel {classes}")
        self._titles = ("", "")
        self.name_it(title)
        self.can_focus = has_focus
        self._glyphs = glyphs
        self._draw: Draw | None = None
        self._shown_lines: list[Text] | None = None

    def show(self, draw: Draw) -> None:
        self._draw = draw
        before = self._shown_lines
        if before is None or not self.size.width:
            self._shown_lines = None
            self.refresh()
            return
        self._shown_lines = lines = self._lines_now()
        number = max(len(before), len(lines))
        changed = [y for y in range(number) if before[y : y + 1] != lines[y : y + 1]]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def name_it(self, title: str, subtitle: str = "") -> None:
        """Set the titles where they are others: each setting paints the whole panel."""
        if self._titles != (title, subtitle):
            self._titles = title, subtitle
            self.border_title, self.border_subtitle = Text(title), Text(subtitle)

    def render_line(self, y: int) -> Strip:
        if self._shown_lines is None:
            self._shown_lines = self._lines_now()
        if y >= len(self._shown_lines):
            return Strip.blank(self.size.width, self.rich_style)
        line = self._shown_lines[y].copy()
        line.truncate(self.size.width, pad=True)
        if not line.spans:
            line.stylize(line.style)  # rich drops the style of a text that has no spans
        segments = [one for one in line.render(self.app.console) if one.text != "\n"]
        return Strip(segments, self.size.width).apply_style(self.rich_style)

    def on_resize(self) -> None:
        self._shown_lines = None

    def notify_style_update(self) -> None:
        """Colours or signs may be others."""
        super().notify_style_update()
        self._shown_lines = None

    def _lines_now(self) -> list[Text]:
        if self._draw is None or not self.size.width:
            return []
        return self._draw(self.size, self._glyphs(), inks_of(self.app.theme_variables))
