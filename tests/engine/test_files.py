"""Folders are whole or not there, and a fingerprint tells models apart."""

import os
from pathlib import Path

import pytest

from tui_tuner.engine.files import BLOCK_BYTES, complete_folder, file_hash, fingerprint, text_hash
from tui_tuner.errors import MachineError


def write_folder(path: Path, text: str) -> None:
    with complete_folder(path) as building:
        (building / "file").write_text(text)


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    with complete_folder(tmp_path / "new") as building:
        (building / "file").write_text("whole")
        assert not (tmp_path / "new").exists()
    assert (tmp_path / "new" / "file").read_text() == "whole"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_new_folder_replaces_the_old_one(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", "old")
    write_folder(tmp_path / "one", "new")
    assert (tmp_path / "one" / "file").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", "old")
    with pytest.raises(ZeroDivisionError), complete_folder(tmp_path / "one") as building:
        (building / "file").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "one" / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_told_with_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(MachineError, match="one could not be written: No space left on device"),
        complete_folder(tmp_path / "one") as building,
    ):
        (building / "file").symlink_to("/dev/full")
        (building / "file").write_text("x" * 100_000)
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_process_left_half_done_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / f".one.{os.getpid()}.tmp"
    left.mkdir()
    (left / "stale").touch()
    write_folder(tmp_path / "one", "new")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["file"]


def test_hashes_are_sha256() -> None:
    assert text_hash("abc").startswith("ba7816bf8f01cfea")


def test_a_files_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abc")
    assert file_hash(tmp_path / "file") == text_hash("abc")


@pytest.mark.parametrize("place", [0, BLOCK_BYTES * 3, -1])
def test_a_fingerprint_changes_with_the_weights(tmp_path: Path, place: int) -> None:
    (tmp_path / "config.json").write_text("{}")
    weights = bytearray(BLOCK_BYTES * 5 + 7)
    (tmp_path / "model.safetensors").write_bytes(weights)
    before = fingerprint(tmp_path / "config.json", [tmp_path / "model.safetensors"])
    assert before == fingerprint(tmp_path / "config.json", [tmp_path / "model.safetensors"])
    weights[place] = 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    assert fingerprint(tmp_path / "config.json", [tmp_path / "model.safetensors"]) != before


def test_a_fingerprint_changes_with_the_config_and_the_names_of_the_files(tmp_path: Path) -> None:
    for name, text in {"a.json": "{}", "b.json": "{ }", "one": "x", "two": "x"}.items():
        (tmp_path / name).write_text(text)
    prints = {
        fingerprint(tmp_path / config, [tmp_path / weights]) for config in ("a.json", "b.json")
        for weights in ("one", "two")
    }  # fmt: skip
    assert len(prints) == 4
