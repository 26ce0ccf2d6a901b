"""trackio, Weights & Biases and MLflow through their public functions. Only a run whose recipe names one imports it.

Nothing but the numbers and settings of `tracked` is handed over: no code, no console, no data.
"""

import importlib
from typing import Any

from tui_tuner.trackers.tracked import TrackedRun

STEP = "step"


class Trackio:
    """A local dashboard: `trackio show`."""

    def __init__(self, run: TrackedRun) -> None:
        self._trackio: Any = importlib.import_module("trackio")
        self._trackio.init(project=run.project, name=run.name, config=run.settings, resume="allow")

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._trackio.log(values, step=step)

    def close(self, *, has_failed: bool) -> None:  # noqa: ARG002 - trackio has no outcome of a run
        self._trackio.finish()


class Wandb:
    """Weights & Biases; WANDB_API_KEY and WANDB_MODE=offline work as usual."""

    def __init__(self, run: TrackedRun) -> None:
        wandb: Any = importlib.import_module("wandb")
        settings = wandb.Settings(console="off", disable_git=True, save_code=False)
        self._run = wandb.init(
            project=run.project,
            id=run.name,
            name=run.name,
            dir=str(run.folder),
            config=run.settings,
            resume="allow",
            settings=settings,
        )
        # Its own step may only grow; a run that was resumed takes some steps again.
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._run.log({**values, STEP: step})

    def close(self, *, has_failed: bool) -> None:
        self._run.finish(exit_code=int(has_failed))


class Mlflow:
    """MLflow; MLFLOW_TRACKING_URI works as usual."""

    def __init__(self, run: TrackedRun) -> None:
        self._mlflow: Any = importlib.import_module("mlflow")
        self._mlflow.set_experiment(run.project)
        self._mlflow.start_run(run_name=run.name, log_system_metrics=False)
        self._mlflow.log_params(run.settings)

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._mlflow.log_metrics(values, step=step, synchronous=False)

    def close(self, *, has_failed: bool) -> None:
        self._mlflow.end_run(status="FAILED" if has_failed else "FINISHED")
