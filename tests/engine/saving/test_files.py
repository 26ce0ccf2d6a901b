"""Folders are whole or not there, and a fingerprint tells models apart."""

import os
from pathlib import Path

import pytest

from tui_tuner.engine.saving.files import (
    BLOCK_BYTES,
    complete_folder,
    file_hash,
    fingerprint,
    remove_folder,
    sweep,
    text_hash,
)
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


def test_files_are_on_the_disk_before_the_folder_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut may not undo: each file, the folder, the rename, the parent; in this order."""
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        sync(descriptor)

    def noted_rename(path: Path, to: Path) -> Path:
        done.append(f"rename to {to.name}")
        return rename(path, to)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    write_folder(tmp_path / "one", "whole")
    assert done == ["file", f".one.{os.getpid()}.tmp", "rename to one", tmp_path.name]


def test_a_removed_folder_is_gone_under_its_name_first(tmp_path: Path) -> None:
    write_folder(tmp_path / "one", "whole")
    remove_folder(tmp_path / "one")
    remove_folder(tmp_path / "one")
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_removes_what_was_left_half_done_and_nothing_else(tmp_path: Path) -> None:
    for name in (".one.7.tmp", ".one.7.old", "one", ".other"):
        write_folder(tmp_path / name, "whole")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"one", ".other"}
