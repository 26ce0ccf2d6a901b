"""Uploads list first, go on where they broke off, and never say a token."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.exporting.made_adapters import of
from tui_tuner.engine.exporting.hub import check_repository, upload, upload_order
from tui_tuner.errors import AdapterError, MachineError
from tui_tuner.exports import ExportFinished, ExportProof

LARGE = 1_000
REPOSITORY = "me/model"


@dataclass
class FakeHub:
    """Keeps what is sent, as the hub does: large files by sha256, small ones by git's hash."""

    files: dict[str, bytes] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    is_private: bool | None = None
    fails_at: str = ""
    spoils: str = ""

    def create_repo(self, repo_id: str, *, private: bool | None, exist_ok: bool) -> None:
        assert repo_id == REPOSITORY
        assert exist_ok
        self.is_private = private

    def get_paths_info(self, repo_id: str, paths: list[str]) -> list[Any]:
        assert repo_id == REPOSITORY
        return [self._info(path) for path in paths if path in self.files]

    def upload_file(self, *, path_or_fileobj: str, path_in_repo: str, repo_id: str, commit_message: str | None) -> None:
        if path_in_repo == self.fails_at:
            raise OSError("connection lost with hf_abcdefghijklmnop")
        assert repo_id == REPOSITORY and commit_message
        self.sent.append(path_in_repo)
        content = Path(path_or_fileobj).read_bytes()
        self.files[path_in_repo] = content + b"!" if path_in_repo == self.spoils else content

    def _info(self, path: str) -> Any:
        content = self.files[path]
        if len(content) > LARGE:
            return SimpleNamespace(path=path, lfs=SimpleNamespace(sha256=hashlib.sha256(content).hexdigest()))
        blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()
        return SimpleNamespace(path=path, lfs=None, blob_id=blob)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text("# card")
    (tmp_path / "model.safetensors").write_bytes(b"w" * 2 * LARGE)
    return tmp_path


def test_weights_go_first_and_config_last(folder: Path) -> None:
    assert [path.name for path in upload_order(list(folder.iterdir()))] == [
        "model.safetensors",
        "README.md",
        "config.json",
    ]


def test_everything_arrives_and_is_compared(folder: Path) -> None:
    hub = FakeHub()
    events = tuple(upload(list(folder.iterdir()), REPOSITORY, is_private=True, api=hub))
    assert hub.files.keys() == {path.name for path in folder.iterdir()}
    assert hub.is_private
    assert of(ExportProof, events)[0].passed
    assert of(ExportFinished, events)[0].folder == "https://huggingface.co/me/model"


def test_upload_that_broke_off_sends_only_the_rest(folder: Path) -> None:
    hub = FakeHub(fails_at="README.md")
    with pytest.raises(MachineError):
        tuple(upload(list(folder.iterdir()), REPOSITORY, is_private=True, api=hub))
    hub.fails_at = ""
    tuple(upload(list(folder.iterdir()), REPOSITORY, is_private=True, api=hub))
    assert hub.sent == ["model.safetensors", "README.md", "config.json"]


def test_token_in_an_error_is_not_shown(folder: Path) -> None:
    with pytest.raises(MachineError) as caught:
        tuple(upload(list(folder.iterdir()), REPOSITORY, is_private=True, api=FakeHub(fails_at="README.md")))
    assert "abcdefgh" not in str(caught.value)
    assert "connection lost" in caught.value.message


def test_content_that_arrived_otherwise_is_an_error(folder: Path) -> None:
    with pytest.raises(AdapterError, match="does not hold what was sent"):
        tuple(upload(list(folder.iterdir()), REPOSITORY, is_private=True, api=FakeHub(spoils="README.md")))


@pytest.mark.parametrize("name", [None, "model", "me/../model", "https://huggingface.co/me/model", "me/model/x"])
def test_what_is_no_repository_is_refused(name: str | None) -> None:
    with pytest.raises(AdapterError):
        check_repository(name)
