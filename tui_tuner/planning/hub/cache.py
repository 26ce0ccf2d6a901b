"""The models in the Hugging Face cache, read from its folders. Never touches the network."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.errors import ModelError
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.weights import weight_file_names

REPO_PREFIX = "models--"


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """One snapshot of one repository in the cache."""

    repo_id: str
    revision: str
    """Commit hash."""
    names: tuple[str, ...]
    """Branches and tags that point to it."""
    folder: Path
    bytes: int
    dtype: str
    """As config.json states it; empty where it does not."""
    quantization: str | None
    complete: bool
    """Whether config.json and every weight file are there."""


def hub_cache_folder() -> Path:
    """Where huggingface_hub keeps its cache, by the same settings as its own."""
    home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface"
    home = Path(os.environ.get("HF_HOME", home))
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()


def cached_models(cache_folder: Path | None = None) -> tuple[CachedModel, ...]:
    """Every model snapshot in the cache that has a config.json, by name; empty where there is no cache."""
    cache = cache_folder if cache_folder is not None else hub_cache_folder()
    if not cache.is_dir():
        return ()
    repos = sorted(path for path in cache.iterdir() if path.name.startswith(REPO_PREFIX) and path.is_dir())
    return tuple(model for repo in repos for model in _snapshots(repo))


def find_cached(models: Sequence[CachedModel], repo_id: str, revision: str | None) -> CachedModel | None:
    """The snapshot of a branch, tag or commit; of "main", or else of the only one there, when no revision is named."""
    ours = [model for model in models if model.repo_id == repo_id]
    wanted = revision or "main"
    for model in ours:
        if wanted in model.names or model.revision == wanted:
            return model
    return ours[0] if revision is None and len(ours) == 1 else None


def _snapshots(repo: Path) -> list[CachedModel]:
    names = _names_by_commit(repo / "refs")
    snapshots = repo / "snapshots"
    folders = sorted(snapshots.iterdir()) if snapshots.is_dir() else []
    repo_id = repo.name.removeprefix(REPO_PREFIX).replace("--", "/")
    return [
        _cached_model(repo_id, folder, tuple(names.get(folder.name, ())))
        for folder in folders
        if (folder / "config.json").exists()
    ]


def _names_by_commit(refs: Path) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    if refs.is_dir():
        for path in sorted(refs.rglob("*")):
            if path.is_file():
                names.setdefault(path.read_text(errors="replace").strip(), []).append(str(path.relative_to(refs)))
    return names


def _cached_model(repo_id: str, folder: Path, names: tuple[str, ...]) -> CachedModel:
    # A damaged entry must not hide the others: it is listed as incomplete, and the plan that wants it says why.
    try:
        config = read_json_object(folder / "config.json", "config.json")
        complete = bool(weight_file_names(folder))
    except ModelError:
        config, complete = {}, False
    stored = config.get("quantization_config")
    return CachedModel(
        repo_id=repo_id,
        revision=folder.name,
        names=names,
        folder=folder,
        bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
        dtype=str(config.get("dtype") or config.get("torch_dtype") or ""),
        quantization=_quantization(stored) if isinstance(stored, dict) else None,
        complete=complete,
    )


def _quantization(stored: dict[str, object]) -> str:
    if stored.get("load_in_4bit") is True:
        return str(stored.get("bnb_4bit_quant_type", "fp4"))
    return str(stored.get("quant_method", "unknown"))
