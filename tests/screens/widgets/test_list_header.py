"""Names of columns stand over their columns, whatever becomes of the list's width."""

from rich.text import Text
from textual.app import App, ComposeResult
from textual.content import Content

from tests.screens.golden import screen_text
from tui_tuner.screens.widgets.line_list import LineList
from tui_tuner.screens.widgets.list_header import ListHeader


class Listed(App[None]):
    """A list of numbers at the right edge of its lines, under a name at the same place."""

    CSS = "ListHeader { height: 1; } LineList { height: 5; }"

    def compose(self) -> ComposeResult:
        numbers = LineList(lambda index, width: Text(f"{index:03}".rjust(width)), count=2)
        yield ListHeader(lambda width: Content("num".rjust(width)), numbers, classes="names")
        yield numbers


def ends(app: Listed) -> tuple[int, int]:
    """Columns behind the name and behind the first number."""
    name, number, *_ = screen_text(app).splitlines()
    return name.index("num") + 3, number.index("000") + 3


async def test_with_and_without_a_scrollbar_and_after_another_size() -> None:
    app = Listed()
    async with app.run_test(size=(30, 8)) as pilot:
        await pilot.pause()
        assert ends(app) == (30, 30)
        app.query_one(LineList).count = 100
        await pilot.pause()
        name, number = ends(app)
        assert name == number < 30
        await pilot.resize_terminal(50, 8)
        await pilot.pause()
        name, number = ends(app)
        assert 40 < name == number < 50
