"""States of the Runs station that are worth a picture."""

from pathlib import Path

from tests.plans import NOON
from tests.screens.runs.material import failed, finished, write_run
from tests.screens.world import GPU_BOX, LAPTOP, make_app
from tui_tuner.errors import MachineError
from tui_tuner.screens.app import TunerApp


def empty(folder: Path) -> TunerApp:
    """Nothing was ever trained."""
    return make_app(folder, LAPTOP)


def filled(folder: Path) -> TunerApp:
    """A good run, a better one, one that failed and one that died."""
    runs = folder / "runs"
    first, better = [2.2 * 0.93**n + 0.8 for n in range(40)], [2.4 * 0.9**n + 0.7 for n in range(60)]
    write_run(runs, "support-v1", first, finished(0.981, 40), started=NOON - 90_000)
    write_run(runs, "support-v2", better, finished(0.912, 60), started=NOON - 9_000, rank=32)
    write_run(runs, "sql-r64", [2.0, 1.9, 2.4, float("nan")], failed(4), started=NOON - 200_000)
    write_run(runs, "summaries", [2.5 * 0.95**n + 1.0 for n in range(12)], started=NOON - 300_000)
    return make_app(folder, GPU_BOX)


def unreadable(folder: Path) -> TunerApp:
    """A good run, and one whose plan is no JSON."""
    runs = folder / "runs"
    write_run(runs, "support-v2", [2.4 * 0.9**n + 0.7 for n in range(60)], finished(0.912, 60), started=NOON - 9_000)
    broken = write_run(runs, "support-v1", (2.0, 1.0), started=NOON - 90_000)
    (broken / "plan.json").write_text("{")
    (broken / "events.jsonl").write_text("{\n")
    return make_app(folder, GPU_BOX)


def show_problem(app: TunerApp) -> None:
    """What a run that cannot be started says."""
    app.show_problem(
        "The run could not be started",
        MachineError("16.4 GB are needed in ~/runs and 2.10 GB are free.", "Free some space, or set output.folder."),
    )
