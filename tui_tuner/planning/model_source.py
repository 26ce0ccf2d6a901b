"""Where the base model is: a local folder, the Hugging Face cache, or the hub. Fetches small files at most."""

from dataclasses import dataclass
from pathlib import Path

from tui_tuner.errors import ModelError, Problem, RecipeError
from tui_tuner.places import is_folder, is_there, path_of
from tui_tuner.plan import NameDecision
from tui_tuner.planning.hub.cache import cached_models, find_cached
from tui_tuner.planning.hub.fetch import Fetch, fetch_from_hub, fetch_small_files, is_hub_id
from tui_tuner.planning.name_mapping import decide_name
from tui_tuner.recipe import ModelSection


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedModel:
    """A model's files on this machine, and how its name was understood."""

    name: NameDecision
    folder: Path
    revision: str | None
    """Commit of a hub model; None for a local folder."""
    is_hub: bool
    is_complete: bool
    """Whether the folder is the whole model, so that missing weights are an error and not just not fetched yet."""


def locate_model(
    section: ModelSection, *, cache_folder: Path | None = None, fetch: Fetch = fetch_from_hub
) -> LocatedModel:
    """Find the model that the recipe names; fetch config and tokenizer files if it is only on the hub.

    Args:
        cache_folder: the Hugging Face hub cache; where its own settings put it when None.
        fetch: gets files of a hub repository; exchanged in tests.

    Raises:
        ModelError: nothing by that name, no network, or a gated repository.
        RecipeError: a revision was named for a local folder.
    """
    local = path_of(section.source)
    if is_there(local) or not is_hub_id(section.source):
        return _local(section, local)
    return _from_hub(section, cache_folder, fetch)


def _local(section: ModelSection, folder: Path) -> LocatedModel:
    if not is_there(folder):
        raise ModelError(
            f"The model folder {folder} does not exist.", "Check the path, or name a hub id such as org/name."
        )
    if not is_folder(folder):
        raise ModelError(f"{folder} is a file, not a model folder.", "Name the folder that holds config.json.")
    if section.revision is not None:
        message = f'is "{section.revision}", but {folder} is a local folder; leave the revision out'
        raise RecipeError([Problem(path="model.revision", message=message)])
    name = NameDecision(typed=section.source, loads=str(folder), reason="a folder on this machine is used as it is")
    return LocatedModel(name=name, folder=folder.resolve(), revision=None, is_hub=False, is_complete=True)


def _from_hub(section: ModelSection, cache_folder: Path | None, fetch: Fetch) -> LocatedModel:
    cached = cached_models(cache_folder)
    whole = {model.repo_id for model in cached if model.complete}
    name = decide_name(section, whole)
    found = find_cached(cached, name.loads, section.revision)
    if found is not None and found.complete:
        return LocatedModel(name=name, folder=found.folder, revision=found.revision, is_hub=True, is_complete=True)
    folder = fetch_small_files(name.loads, section.revision, fetch)
    return LocatedModel(name=name, folder=folder, revision=folder.name, is_hub=True, is_complete=False)
