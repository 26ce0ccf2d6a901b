"""trackio, Weights & Biases and MLflow through their public functions. Only a run whose recipe names one imports it.

Nothing but the numbers and settings of `tracked` is handed over: no code, no console, no data.
"""

import importlib
import os
from types import ModuleType
from typing import Any

from tui_tuner.trackers.tracked import TrackedRun

STEP = "step"
NOTHING_ELSE: dict[str, object] = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "save_code": False,
    "silent": True,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""What Weights & Biases would gather by itself: code, git, packages, the machine and its load."""


TELEMETRY = {"GRADIO_ANALYTICS_ENABLED": "False", "MLFLOW_DISABLE_TELEMETRY": "true", "WANDB_ERROR_REPORTING": "false"}
"""How each package is told to keep its own reports to itself; read when it is imported."""


class Trackio:
    """A local dashboard: `trackio show`."""

    def __init__(self, run: TrackedRun) -> None:
        self._trackio: Any = _without_telemetry("trackio")
        self._trackio.init(
            project=run.project,
            name=run.name,
            config=run.settings,
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._trackio.log(values, step=step)

    def close(self, *, has_failed: bool) -> None:  # noqa: ARG002 - trackio has no outcome of a run
        self._trackio.finish()


class Wandb:
    """Weights & Biases; WANDB_API_KEY and WANDB_MODE=offline work as usual."""

    def __init__(self, run: TrackedRun) -> None:
        wandb: Any = _without_telemetry("wandb")
        settings = wandb.Settings(**NOTHING_ELSE)
        self._run = wandb.init(
            project=run.project,
            id=run.name,
            name=run.name,
            dir=str(run.folder),
            config=run.settings,
            resume="allow",
            settings=settings,
        )
        # Its own step may only grow; a run that was resumed may take some steps again.
        self._run.define_metric(STEP)
        self._run.define_metric("*", step_metric=STEP)

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._run.log({**values, STEP: step})

    def close(self, *, has_failed: bool) -> None:
        self._run.finish(exit_code=int(has_failed))


class Mlflow:
    """MLflow; MLFLOW_TRACKING_URI works as usual, without it files lie beside the runs."""

    def __init__(self, run: TrackedRun) -> None:
        self._mlflow: Any = _without_telemetry("mlflow")
        if "MLFLOW_TRACKING_URI" not in os.environ:
            # MLflow's own default is a database that its small package cannot open; files it wants to be asked for.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            place = (run.folder.parent / "mlruns").absolute()
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._mlflow.set_tracking_uri(place.as_uri())
        experiment = self._mlflow.set_experiment(run.project)
        client = self._mlflow.MlflowClient()
        earlier = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{run.name}'", max_results=1)
        if earlier and run.resumes_after is not None:
            self._mlflow.start_run(run_id=earlier[0].info.run_id, log_system_metrics=False)
            return
        self._mlflow.start_run(run_name=run.name, log_system_metrics=False)
        self._mlflow.log_params(run.settings)

    def log(self, step: int, values: dict[str, float], time: float) -> None:  # noqa: ARG002 - it takes its own time
        self._mlflow.log_metrics(values, step=step, synchronous=False)

    def close(self, *, has_failed: bool) -> None:
        self._mlflow.end_run(status="FAILED" if has_failed else "FINISHED")


def _without_telemetry(package: str) -> ModuleType:
    for variable, value in TELEMETRY.items():
        os.environ.setdefault(variable, value)
    return importlib.import_module(package)
