"""States of the Export station that are worth a picture."""

from pathlib import Path

from tests.screens.export.scripted import FINISHED, PLANNED, PROOF, WRITING, write_job
from tests.screens.runs.material import finished, write_run
from tests.screens.world import make_app
from tui_tuner.exports import ExportEvent
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.export.screen import ExportScreen

KEYS = {"empty": ("8",), "written": ("8", "j")}


def empty(folder: Path) -> TunerApp:
    """No run has an adapter."""
    return make_app(folder)


def written(folder: Path, *events: ExportEvent) -> TunerApp:
    """A merged model that an earlier app wrote."""
    run = write_run(folder / "runs", "support-v4", end=finished())
    (run / "adapter").mkdir()
    write_job(folder / "state" / "export", run, *(events or (PLANNED, WRITING, PROOF, FINISHED)))
    return make_app(folder)


def stand_still(app: TunerApp) -> None:
    """For a picture, on the Export station: no plan is being made, and the machine has a name of its own."""
    assert isinstance(app.screen, ExportScreen) and app.screen._planner is not None
    app.screen._planner.close()
    app.screen._planner = None
    app.screen._login = "ann@gpu-box"
    app.screen._show()
