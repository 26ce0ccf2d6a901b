import errno
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from huggingface_hub import errors

from tests.planning.model_folders import write_config, write_weights
from tui_tuner.errors import ModelError, RecipeError, TunerError
from tui_tuner.families.llama import LLAMA
from tui_tuner.planning.hub.cache import cached_models
from tui_tuner.planning.model_source import LocatedModel, locate_model
from tui_tuner.recipe import ModelSection

COMMIT = "0123456789abcdef"


def write_cached(cache: Path, repo_id: str, *, weights: bool = True, commit: str = COMMIT) -> Path:
    """A snapshot as huggingface_hub lays it out."""
    repo = cache / f"models--{repo_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "refs" / "main").write_text(commit)
    folder = write_config(repo / "snapshots" / commit, {**LLAMA.tiny, "dtype": "bfloat16"})
    if weights:
        write_weights(folder / "model.safetensors", {"a": (2,)})
    return folder


def refuse(_repo_id: str, _revision: str | None, _patterns: Sequence[str]) -> Path:
    raise AssertionError("nothing should be fetched")


def locate(section: ModelSection, cache: Path) -> LocatedModel:
    return locate_model(section, cache_folder=cache, fetch=refuse)


def test_a_local_folder_is_used_as_it_is(tmp_path: Path) -> None:
    located = locate(ModelSection(source=str(write_config(tmp_path, LLAMA.tiny))), tmp_path / "cache")
    assert (located.folder, located.is_hub, located.name.is_swapped) == (tmp_path, False, False)


@pytest.mark.parametrize("source", ["/no/such/folder", "./nowhere", "a/b/c", "model.gguf"])
def test_a_missing_folder_is_named(source: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"The model folder .* does not exist"):
        locate(ModelSection(source=source), tmp_path)


def test_a_file_is_no_model_folder(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(ModelError, match="is a file"):
        locate(ModelSection(source=str(file)), tmp_path)


def test_a_revision_of_a_local_folder_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.revision"):
        locate(ModelSection(source=str(tmp_path), revision="main"), tmp_path)


def test_a_cached_model_needs_no_network(tmp_path: Path) -> None:
    folder = write_cached(tmp_path, "org/name")
    located = locate(ModelSection(source="org/name"), tmp_path)
    assert (located.folder, located.revision, located.is_complete) == (folder, COMMIT, True)


def test_the_cache_is_listed_with_what_is_missing(tmp_path: Path) -> None:
    write_cached(tmp_path, "org/half", weights=False)
    whole = write_cached(tmp_path, "org/whole")
    half, listed = cached_models(tmp_path)
    assert (half.repo_id, half.complete, listed.repo_id, listed.complete) == ("org/half", False, "org/whole", True)
    assert listed.bytes == sum(path.stat().st_size for path in whole.iterdir())
    assert (listed.dtype, listed.quantization, listed.names) == ("bfloat16", None, ("main",))


def test_a_damaged_entry_does_not_hide_the_others(tmp_path: Path) -> None:
    (write_cached(tmp_path, "org/bad") / "config.json").write_text("{")
    write_cached(tmp_path, "org/good")
    assert [model.complete for model in cached_models(tmp_path)] == [False, True]


def test_a_hub_id_fetches_small_files_only(tmp_path: Path) -> None:
    asked: list[str] = []

    def fetch(_repo_id: str, _revision: str | None, patterns: Sequence[str]) -> Path:
        asked.extend(patterns)
        return write_config(tmp_path / COMMIT, LLAMA.tiny)

    located = locate_model(ModelSection(source="org/name"), cache_folder=tmp_path / "cache", fetch=fetch)
    assert (located.revision, located.is_complete) == (COMMIT, False)
    assert "*.safetensors" not in asked


def answer(status: int) -> Any:
    """What huggingface_hub's errors want to know of a response, whichever HTTP library made it."""
    return SimpleNamespace(status_code=status, headers={}, request=None)


FAILURES: dict[str, Exception] = {
    "org/name is gated": errors.GatedRepoError("gated", response=answer(403)),
    'There is no model "org/name"': errors.RepositoryNotFoundError("none", response=answer(404)),
    'has no revision "v9"': errors.RevisionNotFoundError("none", response=answer(404)),
    "the hub cannot be reached": errors.LocalEntryNotFoundError("offline"),
    "cannot be reached": ConnectionError("no route"),
    "No space left": OSError(errno.ENOSPC, "No space left on device"),
    "answered 503": errors.HfHubHTTPError("busy", response=answer(503)),
}


@pytest.mark.parametrize("message", FAILURES)
def test_errors_of_the_hub_are_told_apart(message: str, tmp_path: Path) -> None:
    def fail(_repo_id: str, _revision: str | None, _patterns: Sequence[str]) -> Path:
        raise FAILURES[message]

    with pytest.raises(TunerError, match=message):
        locate_model(ModelSection(source="org/name", revision="v9"), cache_folder=tmp_path, fetch=fail)


def test_a_gated_model_says_where_to_accept(tmp_path: Path) -> None:
    def fail(_repo_id: str, _revision: str | None, _patterns: Sequence[str]) -> Path:
        raise FAILURES["org/name is gated"]

    with pytest.raises(ModelError) as caught:
        locate_model(ModelSection(source="org/name"), cache_folder=tmp_path, fetch=fail)
    assert "https://huggingface.co/org/name" in caught.value.hint
