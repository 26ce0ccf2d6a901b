"""What the Model station reads in threads: the machine, and the hub. Returns the message that reports it."""

from collections.abc import Sequence

from tui_tuner.errors import ModelError
from tui_tuner.planning.hub.search import HubModel, has_hub_token, search_hub
from tui_tuner.planning.local_models import local_adapters, local_models
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.model.messages import Found, Looked


def look_round(environment: Environment) -> Looked:
    """Every model and adapter of this machine."""
    try:
        models = local_models(environment.hub_cache, environment.model_folders)
        adapters = local_adapters((environment.runs_folder, *environment.model_folders))
    except OSError as error:
        return Looked((), (), f"the models here cannot be listed: {error.strerror} ({error.filename})")
    return Looked(models, adapters)


def ask_hub(text: str) -> Found:
    """What the hub has for a text, or why that cannot be said."""
    found: Sequence[HubModel] = ()
    problem = None
    try:
        found = search_hub(text)
    except ModelError as error:
        problem = error
    return Found(text, tuple(found), problem, has_hub_token())
