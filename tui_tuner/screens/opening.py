"""Imports a station when it is first visited: the first frame must not wait for all of them."""

from tui_tuner.screens.station import Station
from tui_tuner.screens.stations import StationName


def open_station(name: StationName) -> Station:  # noqa: PLR0911 - a case for each station
    """A new screen of the station."""
    match name:
        case "runs":
            from tui_tuner.screens.runs.screen import RunsScreen

            return RunsScreen()
        case "model":
            from tui_tuner.screens.model.screen import ModelScreen

            return ModelScreen()
        case "targets":
            from tui_tuner.screens.targets.screen import TargetsScreen

            return TargetsScreen()
        case "data":
            from tui_tuner.screens.data.screen import DataScreen

            return DataScreen()
        case "recipe":
            from tui_tuner.screens.recipe.screen import RecipeScreen

            return RecipeScreen()
        case "train":
            from tui_tuner.screens.train.screen import TrainScreen

            return TrainScreen()
        case "chat":
            from tui_tuner.screens.chat.screen import ChatScreen

            return ChatScreen()
        case "export":
            from tui_tuner.screens.export.screen import ExportScreen

            return ExportScreen()
