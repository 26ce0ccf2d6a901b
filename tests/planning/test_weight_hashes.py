"""Hashes of whole files: read once, remembered by what identifies a file, and told by the Hub's own names."""

import hashlib
import os
from pathlib import Path

import pytest

from tui_tuner.errors import ModelError
from tui_tuner.planning.weight_hashes import cache_file, differing_file, hash_in_full, known_hashes

CONTENT = b"weights"
SHA = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a.safetensors").write_bytes(CONTENT)
    return tmp_path / "model"


def snapshot(folder: Path, content: bytes) -> Path:
    """As in the Hub's cache: a link to a blob that is named after what was downloaded."""
    (folder / "blobs").mkdir()
    (folder / "blobs" / SHA).write_bytes(content)
    (folder / "snapshots").mkdir()
    (folder / "snapshots" / "a.safetensors").symlink_to(folder / "blobs" / SHA)
    return folder / "snapshots"


def test_a_file_is_known_once_it_was_read(model: Path) -> None:
    assert known_hashes(model, ["a.safetensors"]) == {}
    seen: list[tuple[int, int]] = []
    assert hash_in_full(model, ["a.safetensors"], lambda *done: seen.append(done)) == {"a.safetensors": SHA}
    assert known_hashes(model, ["a.safetensors"]) == {"a.safetensors": SHA}
    assert seen == [(7, 7)]


def test_a_file_that_was_written_to_is_not_known_any_more(model: Path) -> None:
    hash_in_full(model, ["a.safetensors"], lambda *_: None)
    (model / "a.safetensors").write_bytes(b"wEights")
    os.utime(model / "a.safetensors", ns=(1, 1))
    assert known_hashes(model, ["a.safetensors"]) == {}


def test_a_file_of_the_hub_is_known_unread(tmp_path: Path) -> None:
    assert known_hashes(snapshot(tmp_path, CONTENT), ["a.safetensors"]) == {"a.safetensors": SHA}


def test_a_flipped_bit_since_the_download_is_found(tmp_path: Path) -> None:
    folder = snapshot(tmp_path, b"vights!")
    with pytest.raises(ModelError, match=f"is damaged: .* it was downloaded as {SHA[:12]}"):
        hash_in_full(folder, ["a.safetensors"], lambda *_: None)


def test_a_damaged_cache_is_none(model: Path) -> None:
    cache_file().parent.mkdir(parents=True)
    cache_file().write_text('{"1:2:3:4": 5, "x')
    assert known_hashes(model, ["a.safetensors"]) == {}


def test_only_what_both_know_is_compared() -> None:
    assert differing_file({"a": "1", "b": "2"}, {"b": "2", "c": "3"}) is None
    assert differing_file({"a": "1", "b": "2"}, {"b": "3"}) == "b"
