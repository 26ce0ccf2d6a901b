"""States of the Export station that are worth a picture."""

from dataclasses import replace
from pathlib import Path

from tests.screens.export.scripted import FAILED, FINISHED, MERGED, PLANNED, PROOF, WRITING, write_job
from tests.screens.runs.material import finished, write_run
from tests.screens.world import make_app
from tui_tuner.exports import ExportEvent
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.export.screen import ExportScreen

KEYS = {"empty": ("8",), "planned": ("8", "j", "space"), "written": ("8", "j")}


def empty(folder: Path) -> TunerApp:
    """No run has an adapter."""
    return make_app(folder)


def written(folder: Path, *events: ExportEvent) -> TunerApp:
    """A merged model that an earlier app wrote."""
    run = write_run(folder / "runs", "support-v4", end=finished())
    (run / "adapter").mkdir()
    write_job(folder / "state" / "export", run, *(events or (PLANNED, WRITING, PROOF, FINISHED)))
    return make_app(folder)


def writing(folder: Path) -> TunerApp:
    """Half of a merge is written."""
    return written(folder, PLANNED, WRITING)


def failed(folder: Path) -> TunerApp:
    """The disk was full."""
    return written(folder, PLANNED, FAILED)


def stand_still(app: TunerApp) -> None:
    """For a picture, on the Export station: no plan is being made."""
    assert isinstance(app.screen, ExportScreen) and app.screen._planner is not None
    app.screen._planner.close()
    app.screen._planner = None
    app.screen._show()


def choose_merged(app: TunerApp) -> None:
    """What was written is what is chosen."""
    stand_still(app)
    assert isinstance(app.screen, ExportScreen)
    app.screen._choices = replace(app.screen._choices, kinds=frozenset({MERGED}))
    app.screen._show()
