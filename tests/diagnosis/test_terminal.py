"""What the terminal can show."""

import os

import pytest

from tui_tuner.diagnosis.terminal import clipboard_check, colour_check, terminal_check


@pytest.mark.parametrize(
    ("size", "encoding", "status"),
    [((120, 40), "utf-8", "ok"), ((60, 20), "utf-8", "warning"), ((120, 40), "ascii", "warning")],
)
def test_the_terminal_is_large_enough_and_speaks_utf8(size: tuple[int, int], encoding: str, status: str) -> None:
    assert terminal_check(os.terminal_size(size), encoding, "xterm").status == status


@pytest.mark.parametrize(
    ("variables", "finding"),
    [
        ({"COLORTERM": "truecolor"}, "16 million"),
        ({"TERM": "xterm-256color"}, "256"),
        ({"TERM": "screen"}, "16, or fewer"),
        ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, "none, as NO_COLOR asks; signs carry every meaning"),
    ],
)
def test_colours_are_what_the_terminal_says(variables: dict[str, str], finding: str) -> None:
    assert colour_check(variables).finding == finding


def test_the_clipboard_in_tmux_comes_with_the_setting_that_it_needs() -> None:
    assert "set-clipboard on" in clipboard_check({"TMUX": "/tmp/x", "TERM_PROGRAM": "kitty"}).fix
    assert clipboard_check({"TERM": "xterm-kitty"}).status == "ok"
