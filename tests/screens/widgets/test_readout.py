from textual.content import Content

from tui_tuner.screens.widgets.readout import fitting

LINE = Content(" training  ·  step 84/120  ·  1 m 04 s left  ·  safe to close")


def test_what_has_no_room_is_left_out_whole() -> None:
    assert fitting(LINE, 50).plain.rstrip() == " training  ·  step 84/120  ·  1 m 04 s left"
    assert fitting(LINE, 200) == LINE


def test_the_first_part_is_never_left_out() -> None:
    assert fitting(LINE, 4).plain.rstrip() == " training"
