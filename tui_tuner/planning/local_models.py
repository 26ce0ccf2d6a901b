"""The base models and adapters on this machine: the Hugging Face cache, folders, the built-in starter. No network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tui_tuner.errors import ModelError
from tui_tuner.plan import NameDecision
from tui_tuner.planning.hub.cache import CachedModel, cached_models
from tui_tuner.planning.inheriting.strengths import CONFIG_FILE as ADAPTER_CONFIG
from tui_tuner.planning.json_files import read_json_object
from tui_tuner.planning.model_card import read_licence
from tui_tuner.planning.model_facts import BaseModel, read_base_model
from tui_tuner.planning.model_source import LocatedModel
from tui_tuner.recipe import ModelSection
from tui_tuner.starter import starter_model_folder

MAX_DEPTH = 3
MAX_FOLDERS = 4000
SKIPPED = ("node_modules", "__pycache__", "site-packages", "checkpoints")
STARTER_LICENCE = "that of tuner"
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")

Place = Literal["built in", "cache", "folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """A base model whose config.json is on this machine, or why it cannot be used."""

    source: str
    """What a recipe names it by."""
    revision: str | None = None
    """Commit that a recipe must name, where its repository alone does not say which snapshot."""
    name: str
    place: Place
    folder: Path
    base: BaseModel | None = None
    problem: ModelError | None = None
    num_bytes: int = 0
    dtype: str = ""
    quantization: str | None = None
    licence: str = ""
    has_template: bool = False
    has_tokenizer: bool = False

    @property
    def has_weights(self) -> bool:
        return self.base is not None and bool(self.base.facts.weight_files)

    @property
    def can_be_fetched(self) -> bool:
        """Whether the hub has weights that are not here; a folder has what it has."""
        return self.place == "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalAdapter:
    """A folder with an adapter in PEFT's layout."""

    folder: Path
    base_name: str
    """The base model that it names; empty where it names none."""
    rank: int | None
    modified: float
    """Seconds since 1970."""


def local_models(cache_folder: Path | None, folders: Sequence[Path]) -> tuple[LocalModel, ...]:
    """Every base model: those of the cache, those of the folders, then the built-in starter. Weights are not read."""
    cached = cached_models(cache_folder)
    found = [_from_cache(model, cached) for model in cached]
    seen = {model.folder.resolve() for model in found}
    for folder in folders_with("config.json", folders):
        if folder.resolve() not in seen | {starter_model_folder()}:
            seen.add(folder.resolve())
            found.append(_described(str(folder), folder.name or str(folder), "folder", folder))
    starter = starter_model_folder()
    return (*found, replace(_described(str(starter), "tuner starter", "built in", starter), licence=STARTER_LICENCE))


def local_adapters(folders: Sequence[Path]) -> tuple[LocalAdapter, ...]:
    """Every adapter folder under some folders, newest first."""
    found = {folder.resolve(): _adapter(folder) for folder in folders_with(ADAPTER_CONFIG, folders)}
    return tuple(sorted((one for one in found.values() if one is not None), key=lambda one: -one.modified))


def folders_with(name: str, folders: Sequence[Path]) -> Iterator[Path]:
    """Folders that hold a file of this name, to a bounded depth and number; what cannot be read is passed over."""
    waiting = [(folder, 0) for folder in folders]
    looked_at = 0
    while waiting and looked_at < MAX_FOLDERS:
        folder, depth = waiting.pop(0)
        looked_at += 1
        if (folder / name).is_file():
            yield folder
        elif depth < MAX_DEPTH:
            waiting.extend((child, depth + 1) for child in _subfolders(folder))


def _subfolders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError:  # no such folder, or one that is not ours to read: nothing can be offered from it
        return []
    return [one for one in children if one.name[:1] != "." and one.name not in SKIPPED and one.is_dir()]


def _from_cache(model: CachedModel, cached: Sequence[CachedModel]) -> LocalModel:
    is_only = sum(one.repo_id == model.repo_id for one in cached) == 1
    revision = None if is_only or "main" in model.names else model.revision
    name = model.repo_id if revision is None else f"{model.repo_id} @{model.revision[:7]}"
    return _described(model.repo_id, name, "cache", model.folder, revision)


def _described(source: str, name: str, place: Place, folder: Path, revision: str | None = None) -> LocalModel:
    base, problem = None, None
    try:
        base = _read(source, folder, is_hub=place == "cache")
    except ModelError as error:
        problem = error
    facts = base.facts if base is not None else None
    return LocalModel(
        source=source,
        revision=revision,
        name=name,
        place=place,
        folder=folder,
        base=base,
        problem=problem,
        num_bytes=(facts.weight_bytes or 0) if facts else 0,
        dtype=facts.dtype if facts else "",
        quantization=facts.stored_quantization if facts else None,
        licence=read_licence(folder),
        has_template=has_chat_template(folder),
        has_tokenizer=(folder / "tokenizer.json").exists(),
    )


def _read(source: str, folder: Path, *, is_hub: bool) -> BaseModel:
    """As a plan reads it. A model whose weights are not there is described by its config alone."""
    section = ModelSection(source=source)
    name = NameDecision(typed=source, loads=source, reason="on this machine")
    located = LocatedModel(name=name, folder=folder.resolve(), revision=None, is_hub=is_hub, is_complete=True)
    return read_base_model(located, section)


def has_chat_template(folder: Path) -> bool:
    """Whether a model comes with a chat template, by its files; the template itself is not checked."""
    if any((folder / name).exists() for name in TEMPLATE_FILES):
        return True
    try:
        return bool(read_json_object(folder / "tokenizer_config.json", "tokenizer_config.json").get("chat_template"))
    except ModelError:  # missing or damaged: the Data station says so when it needs it
        return False


def _adapter(folder: Path) -> LocalAdapter | None:
    try:
        config = read_json_object(folder / ADAPTER_CONFIG, ADAPTER_CONFIG)
        modified = (folder / ADAPTER_CONFIG).stat().st_mtime
    except (ModelError, OSError):  # damaged: it cannot be gone on with, so it is not offered
        return None
    rank = config.get("r")
    base_name = config.get("base_model_name_or_path")
    return LocalAdapter(
        folder=folder,
        base_name=base_name if isinstance(base_name, str) else "",
        rank=rank if isinstance(rank, int) else None,
        modified=modified,
    )
