"""States of the Train station that are worth a picture: a run that stands still is put in place of a living one."""

import math
from collections.abc import Callable
from pathlib import Path

from tests.plans import NOON, llama_plan, scripted_events
from tests.screens.runs.material import failed
from tests.screens.world import GPU_BOX, make_app
from tui_tuner.controls import Controls
from tui_tuner.events import ControlApplied, Outcome, Phase, Progress, RunFinished, RunState, TrainEvent
from tui_tuner.hosting.notes import ExitStatus
from tui_tuner.hosting.run_view import Attachment, RunView
from tui_tuner.journal import RunJournal
from tui_tuner.recipe import recipe_to_toml
from tui_tuner.screens.app import TunerApp

STEPS, NOW = 120, 84
LOG = (
    "Traceback (most recent call last):",
    '  File "run.py", line 88, in step',
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
)


def gpu_box(folder: Path) -> TunerApp:
    """No run is there yet; one of those below is shown on it."""
    return make_app(folder, GPU_BOX)


class StillRun:
    """A run of which there is one view."""

    def __init__(self, view: RunView | None) -> None:
        self.run_id = "support-v4"
        self.controls = Controls()
        self._view = view

    def poll(self) -> RunView | None:
        view, self._view = self._view, None
        return view


def finished(folder: Path) -> TunerApp:
    """Everything that a run can have: evaluations, answers, checkpoints, a proof."""
    plan = llama_plan(steps=40)
    with RunJournal.create(folder / "runs", "support-v3", recipe_to_toml(plan.recipe), plan) as journal:
        for event in scripted_events(steps=40):
            journal.append(event)
    return make_app(folder, GPU_BOX)


def show_starting(app: TunerApp) -> None:
    """The engine was started, and has not said a word yet."""
    _show(app, None)


def show_loading(app: TunerApp) -> None:
    """The labels are computed."""
    events = [one for one in scripted_events(steps=STEPS) if one.time <= NOON + 1]
    events.append(Progress(time=NOON + 2, phase=Phase.LABELLING, done=4000, total=7473))
    _show(app, _view(*events))


def show_running(app: TunerApp) -> None:
    _show(app, _view(*_until_now()))


def show_paused(app: TunerApp) -> None:
    _show(app, _view(*_until_now(), ControlApplied(time=NOON + 200, step=NOW, action="pause")))


def show_failed(app: TunerApp) -> None:
    """The loss is no number any more."""
    _show(app, _view(*_until_now(), failed(NOW), exit_status=ExitStatus(code=1, time=NOON + 900)))


def show_stopped(app: TunerApp) -> None:
    """A person asked it to stop and save."""
    asked = ControlApplied(time=NOON + 200, step=NOW, action="stop")
    end = RunFinished(
        time=NOON + 202, outcome=Outcome.STOPPED, step=NOW, adapter="adapter", best_loss=1.01, best_step=80,
        seconds=202,
        tokens=32_768 * NOW,
    )  # fmt: skip
    _show(app, _view(*_until_now(), asked, end, exit_status=ExitStatus(code=0, time=NOON + 203)))


def show_died(app: TunerApp) -> None:
    """Its process is gone without a word."""
    _show(app, _view(*_until_now(), exit_status=ExitStatus(signal="SIGKILL", time=NOON + 900), log_tail=LOG))


def _until_now() -> list[TrainEvent]:
    """The events of a run at step `NOW`, with the noise that a real loss has."""
    events: list[TrainEvent] = []
    for event in scripted_events(steps=STEPS):
        if event.kind == "step":
            step = event.step
            if step > NOW:
                return events
            noise = 0.12 * math.sin(step * 2.1) + 0.09 * math.sin(step * 5.3 + 1)
            grad_norm = 0.4 + 2.5 / (1 + step / 4) + 0.15 * math.sin(step * 1.7)
            rate = 2e-4 * min(step / 5, 1 - (step - 5) / (STEPS - 5))
            event = event.model_copy(
                update={
                    "loss": 0.95 + 1.3 * math.exp(-step / 30) + noise, "grad_norm": grad_norm,
                    "learning_rate": rate, "seconds": 1.78 + 0.1 * math.sin(step * 3.3),
                }
            )  # fmt: skip
        events.append(event)
    return events


def _view(*events: TrainEvent, exit_status: ExitStatus | None = None, log_tail: tuple[str, ...] = ()) -> RunView:
    return RunView(
        run_id="support-v4",
        state=RunState().after_all(events),
        is_alive=exit_status is None,
        exit=exit_status,
        log_tail=log_tail,
        attachment=Attachment(attached_at=NOON),
    )


def _show(app: TunerApp, view: RunView | None) -> None:
    app.run_desk.run, app.run_desk.view = StillRun(view), None


SHOWN: dict[str, tuple[Callable[[TunerApp], None], str]] = {
    "starting": (show_starting, "starting"),
    "loading": (show_loading, "53 %"),
    "running": (show_running, "left"),
    "paused": (show_paused, "paused"),
    "failed": (show_failed, "loss is nan"),
    "stopped": (show_stopped, "stopped"),
    "died": (show_died, "died at step"),
}
"""How each state is shown on the Train station, and a text that is there then."""
