from pathlib import Path

import pytest

from tui_tuner.places import is_file, is_folder, is_there, path_of

NOWHERE = ("x" * 5000, "/" + "y/" * 3000, "a\0b", "~nobody-of-that-name/models", "")


@pytest.mark.parametrize("text", NOWHERE, ids=["long name", "long path", "nul", "no such user", "nothing"])
def test_what_cannot_be_a_path_is_not_there_and_raises_nothing(text: str) -> None:
    path = path_of(text)
    assert not is_file(path) and (not text or not (is_there(path) or is_folder(path)))


def test_what_is_there_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    assert is_folder(path_of(f" {tmp_path} ")) and is_file(tmp_path / "a") and is_there(tmp_path / "a")
