"""States of the Doctor screen that are worth a picture: pushed over Runs by F9."""

from pathlib import Path

from tests.screens.world import make_app
from tui_tuner.screens.app import TunerApp

KEYS = ("f9",)


def open_doctor(folder: Path) -> TunerApp:
    return make_app(folder)
