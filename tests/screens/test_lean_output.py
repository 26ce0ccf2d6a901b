"""What is sent to the terminal: only what is not there already, and never less than what changed."""

from hypothesis import given
from hypothesis import strategies as st
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from tui_tuner.screens.terminal.lean_output import LeanUpdate, SentCells

RED, PLAIN = Style(color="red"), Style()
WIDTH = 30
ROWS = st.lists(
    st.text(alphabet="ab▁⣿ ", min_size=WIDTH, max_size=WIDTH).flatmap(
        lambda text: st.tuples(st.just(text), st.sampled_from([RED, PLAIN]))
    ),
    min_size=3,
    max_size=3,
)


def _update(rows: list[tuple[str, Style]]) -> ChopsUpdate:
    """Whole rows from the left edge, as Textual gives them for a panel that was painted anew."""
    chops = [{0: Strip([Segment(text, style)])} for text, style in rows]
    spans = [(y, 0, Strip(row[0]).cell_length) for y, row in enumerate(chops)]
    return ChopsUpdate(chops, spans, [[end] for _, _, end in spans])


def _paint(screen: list[list[tuple[str, Style | None]]], update: LeanUpdate) -> None:
    for y, x, strip in update.pieces:
        for text, style, _ in strip:
            for sign in text:
                screen[y][x] = (sign, style)
                x += 1


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_the_terminal_shows_what_it_would_without_it(frames: list[list[tuple[str, Style]]]) -> None:
    sent = SentCells()
    screen: list[list[tuple[str, Style | None]]] = [[("?", None)] * WIDTH for _ in range(3)]
    for rows in frames:
        _paint(screen, sent.lean(_update(rows)))
        assert screen == [[(sign, style) for sign in text] for text, style in rows]


def test_what_is_there_already_is_not_sent_again() -> None:
    sent, update = SentCells(), _update([("step 1  loss 2.5", PLAIN)])
    assert sent.lean(update).pieces and not sent.lean(update).pieces


def test_of_a_line_with_one_new_figure_only_the_figure_is_sent() -> None:
    sent = SentCells()
    sent.lean(_update([("a long title that stays, and step 1 of 9", PLAIN)]))
    ((y, x, strip),) = sent.lean(_update([("a long title that stays, and step 2 of 9", PLAIN)])).pieces
    assert (y, x, strip.text) == (0, 34, "2")


def test_characters_of_two_cells_are_always_sent_whole() -> None:
    sent, update = SentCells(), _update([("数据 data", PLAIN)])
    assert sent.lean(update).pieces and sent.lean(update).pieces[0][2].text == "数据 data"


def test_after_a_resize_everything_is_sent() -> None:
    sent, update = SentCells(), _update([("Loss 2.31", RED)])
    sent.lean(update)
    sent.forget()
    assert sent.lean(update).pieces[0][2].text == "Loss 2.31"
