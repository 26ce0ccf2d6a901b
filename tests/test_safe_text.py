"""Text from outside cannot steer a terminal, and nothing of it is hidden."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_tuner.safe_text import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;PWNED\x07", "␛]0;PWNED␇"),
        ("a\x00b\x7f", "a␀b␡"),
        ("\x9b31m", "⟨009B⟩31m"),
        ("user\u202etxt.exe", "user⟨202E⟩txt.exe"),
        ("a\ud800b", "a�b"),
        ("a\tb\nc", "a    b\nc"),
        ("zero\u200bwidth", "zero⟨200B⟩width"),
        ("naïve 日本 👩‍👩‍👧", "naïve 日本 👩‍👩‍👧"),
    ],
)
def test_what_would_steer_becomes_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters()))
def test_no_control_character_is_left(text: str) -> None:
    left = {char for char in visible(text) if unicodedata.category(char) in ("Cc", "Cs") and char != "\n"}
    assert left == set()


@given(st.text(), st.integers(min_value=1, max_value=30))
def test_one_line_is_one_line_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert "\n" not in line
    assert len(line) <= limit
