"""What the Model station lists: models of this machine, those that a hub search found, and what was typed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tui_tuner.places import is_folder, is_there
from tui_tuner.plan import NameDecision
from tui_tuner.planning.hub.fetch import is_hub_id
from tui_tuner.planning.hub.search import HubModel
from tui_tuner.planning.local_models import LocalModel
from tui_tuner.planning.name_mapping import decide_name
from tui_tuner.recipe import ModelSection
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.outlook import Facts, ModelAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the list: a model of this machine, one of the hub, or a text taken as it was typed."""

    source: str
    name: str
    revision: str | None = None
    local: LocalModel | None = None
    hub: HubModel | None = None

    @property
    def is_typed(self) -> bool:
        return self.local is None and self.hub is None

    def is_chosen(self, draft: Draft) -> bool:
        chosen = (draft.get("model", "source"), draft.get("model", "revision"))
        return chosen == (self.source, self.revision) or (self.revision is None and chosen[0] == self.source)

    def chosen_in(self, draft: Draft) -> Draft:
        """The draft with this model. A revision belongs to the model before it, and goes with it."""
        if self.is_chosen(draft):
            return draft
        return draft.with_value(self.source, "model", "source").with_value(self.revision, "model", "revision")


def entries(
    models: Sequence[LocalModel], found: Sequence[HubModel], text: str, chosen: str | None = None
) -> tuple[Entry, ...]:
    """What fits a search text, this machine first. `chosen` is listed even if it is nowhere else."""
    wanted = text.lower().split()
    listed = [
        Entry(source=model.source, name=model.name, revision=model.revision, local=model)
        for model in models
        if all(word in f"{model.name} {model.source}".lower() for word in wanted)
    ]
    here = {model.source for model in models}
    if wanted:
        listed += [Entry(source=one.repo_id, name=one.repo_id, hub=one) for one in found if one.repo_id not in here]
    known = {entry.source for entry in listed}
    if chosen and not wanted and chosen not in known:
        listed.insert(0, Entry(source=chosen, name=chosen))
    if is_source(text) and text.strip() not in known:
        listed.append(Entry(source=text.strip(), name=text.strip()))
    return tuple(listed)


def is_source(text: str) -> bool:
    """Whether a text can name a model by itself: a folder, or a hub id with its owner."""
    text = text.strip()
    is_path = text.startswith(("/", "~", "./", "../")) or (bool(text) and is_folder(Path(text)))
    return is_path or ("/" in text and is_hub_id(text))


def name_decision(draft: Draft, entry: Entry, models: Sequence[LocalModel]) -> NameDecision | None:
    """What would be loaded for an entry by the settings of the draft; None where that cannot be said."""
    recipe, _ = draft.preview
    if recipe is None:
        return None
    if entry.local is not None and entry.local.place == "built in":
        return NameDecision(typed=entry.name, loads=entry.name, reason="it comes with tuner")
    is_folder = entry.local is not None and entry.local.place == "folder"
    if is_folder or not is_hub_id(entry.source) or is_there(Path(entry.source)):
        reason = "a folder on this machine is used as it is"
        return NameDecision(typed=entry.source, loads=entry.source, reason=reason)
    section: ModelSection = recipe.model.model_copy(update={"source": entry.source, "revision": entry.revision})
    return decide_name(section, {one.source for one in models if one.place == "cache" and one.has_weights})


def entry_facts(entry: Entry, draft: Draft, known: Facts, models: Sequence[LocalModel]) -> Facts | None:
    """What is known for an entry, chosen or not; None where its config is not here."""
    if entry.is_chosen(draft) and known.model is not None:
        return known
    if entry.local is None or entry.local.base is None:
        return None
    answer = ModelAnswer(base=entry.local.base, name=name_decision(draft, entry, models))
    return Facts(hardware=known.hardware, model=answer, data=known.data)
