"""What every station of the app shares: rail, body, readout and key bar, and how it learns of changes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from tui_tuner.screens.look.glyphs import Glyphs
from tui_tuner.screens.stations import Marks, StationName
from tui_tuner.screens.widgets.key_bar import KeyBar
from tui_tuner.screens.widgets.rail import Rail
from tui_tuner.screens.widgets.readout import Readout

if TYPE_CHECKING:
    from tui_tuner.screens.app import TunerApp

MIN_WIDTH = 60
MIN_HEIGHT = 18


class Station(Screen[None]):
    """A subclass gives its `name`, its body and its readout; `outlook_changed` is called when the draft's outlook is.

    Timers of a station must be paused while it is not seen: override `wake` and `rest`.
    """

    STATION: ClassVar[StationName | None] = None
    BINDINGS: ClassVar[list[BindingType]] = []
    HELP: ClassVar[str | None] = ""
    """What the station is for, in Markdown; the keys are added from the bindings."""

    @property
    def tuner(self) -> "TunerApp":
        from tui_tuner.screens.app import TunerApp

        assert isinstance(self.app, TunerApp)
        return self.app

    @property
    def glyphs(self) -> Glyphs:
        return self.tuner.glyphs

    def compose(self) -> ComposeResult:
        yield Rail(self.STATION, self.tuner.glyphs)
        with Widget(id="body"):
            yield from self.compose_body()
        yield Readout()
        yield KeyBar()
        yield Static(id="too-small")

    def compose_body(self) -> Iterator[Widget]:
        """The panels between rail and readout."""
        raise NotImplementedError

    def outlook_changed(self) -> None:
        """The draft, or what is known of it, is another; `self.tuner.outlook` has it."""

    def wake(self) -> None:
        """The station is seen again: start timers, read what may have changed."""

    def rest(self) -> None:
        """The station is no longer seen: pause timers."""

    def show_readout(self, content: Content) -> None:
        self.query_one(Readout).content = content

    def show_marks(self, marks: Marks) -> None:
        self.query_one(Rail).marks = dict(marks)

    @property
    def has_body(self) -> bool:
        """Whether its widgets are there: false between its making and its first frame."""
        return bool(self.query(Rail))

    def on_screen_resume(self) -> None:
        self.show_marks(self.tuner.marks)
        if self.tuner.has_bench:
            self.outlook_changed()
        self.wake()

    def on_screen_suspend(self) -> None:
        self.rest()

    def on_resize(self) -> None:
        width, height = self.app.size
        is_too_small = width < MIN_WIDTH or height < MIN_HEIGHT
        self.set_class(is_too_small, "-too-small")
        if is_too_small:
            self.query_one("#too-small", Static).update(
                Content(f"tuner needs {MIN_WIDTH} × {MIN_HEIGHT} cells, this is {width} × {height}")
            )
        if self.has_body and self.tuner.has_bench:
            self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        """What was written for another width is written anew."""
        if self.is_current and self.has_body:
            self.outlook_changed()

    def on_rail_chosen(self, message: Rail.Chosen) -> None:
        self.tuner.go_to(message.station)
