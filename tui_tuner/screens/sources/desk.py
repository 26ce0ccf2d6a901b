"""Reads which results there are, remembering journals that did not grow. Any one thread at a time."""

from tui_tuner.hosting.known_folders import known_folders
from tui_tuner.screens.environment import Environment
from tui_tuner.screens.runs.catalogue import RunCatalogue
from tui_tuner.screens.sources.results import Result, list_results


class ResultDesk:
    """The results in the app's own runs folder and in every folder that this person used."""

    def __init__(self, environment: Environment) -> None:
        folders = (environment.runs_folder.expanduser().resolve(), *known_folders(environment.state_folder))
        self._catalogue = RunCatalogue(tuple(dict.fromkeys(folders)))

    def results(self) -> tuple[Result, ...]:
        return list_results(self._catalogue.entries())
