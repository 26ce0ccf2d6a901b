"""Hands a run's events to the trackers that its recipe names. A tracker that fails is left out, and the run goes on."""

import importlib.util
import io
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path

from tui_tuner.errors import Problem
from tui_tuner.events import RunFailed, RunFinished, RunResumed, RunStarted, TrainEvent, WarningRaised
from tui_tuner.plan import RunPlan
from tui_tuner.recipe import TrackerName
from tui_tuner.trackers.services import Mlflow, Trackio, Wandb
from tui_tuner.trackers.tensorboard import TensorBoard
from tui_tuner.trackers.tracked import Point, TrackedRun, Tracker, settings_of, values_of

_LOG = logging.getLogger(__name__)
TRACKERS: Mapping[TrackerName, Callable[[TrackedRun], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
    "mlflow": Mlflow,
}
OWN = ("tensorboard",)
"""Trackers that need no package."""
REPLACING = ("tensorboard",)
"""Trackers that forget the steps that a resumed run takes again, where it says from which step on."""


def tracker_problems(names: tuple[TrackerName, ...]) -> list[Problem]:
    """Trackers whose package is not installed."""
    return [
        Problem(
            path="output.trackers",
            message=f'names {name}, which is not installed; `pip install "tui-tuner[{name}]"` adds it',
        )
        for name in names
        if name not in OWN and importlib.util.find_spec(name) is None
    ]


class TrackerSet:
    """The trackers of one run, from its first event to its last."""

    def __init__(self, plan: RunPlan, folder: Path, earlier: frozenset[Point] = frozenset()) -> None:
        """`earlier`: what a run that goes on has sent already. Steps that it takes again are not sent twice."""
        self._plan, self._folder, self._earlier = plan, folder, earlier
        self._trackers: dict[TrackerName, Tracker] = {}
        self._warnings: list[WarningRaised] = []

    def take(self, event: TrainEvent) -> None:
        """Begin with RunStarted or RunResumed, pass numbers on, end with the run. Raises nothing of a tracker."""
        match event:
            case RunStarted():
                self._open(None)
            case RunResumed():
                if event.accepted:
                    self._earlier = frozenset()  # The same steps come out otherwise.
                self._open(event.step)
            case RunFinished() | RunFailed():
                self._close(has_failed=isinstance(event, RunFailed))
            case _:
                self._log(event)

    def warnings(self) -> Iterator[WarningRaised]:
        """What went wrong since the last call."""
        while self._warnings:
            yield self._warnings.pop(0)

    def _log(self, event: TrainEvent) -> None:
        found = values_of(event)
        if found is not None:
            step, values = found
            was_sent = (type(event).__name__, step) in self._earlier
            for name, tracker in list(self._trackers.items()):
                if was_sent and name not in REPLACING:
                    continue
                self._try(name, partial(tracker.log, step, values, event.time))

    def _open(self, resumes_after: int | None) -> None:
        output = self._plan.recipe.output
        run = TrackedRun(
            name=self._folder.name,
            project=output.project,
            folder=self._folder,
            settings=settings_of(self._plan),
            resumes_after=resumes_after,
        )
        for name in output.trackers:
            if name not in self._trackers:
                self._try(name, partial(self._begin, name, run))

    def _begin(self, name: TrackerName, run: TrackedRun) -> None:
        self._trackers[name] = TRACKERS[name](run)

    def _close(self, *, has_failed: bool) -> None:
        for name, tracker in list(self._trackers.items()):
            self._try(name, partial(tracker.close, has_failed=has_failed))
        self._trackers.clear()

    def _try(self, name: TrackerName, act: Callable[[], None]) -> None:
        said = io.StringIO()
        try:
            # Standard output is the run's own: events, where somebody asked for JSON.
            with redirect_stdout(said), redirect_stderr(said):
                act()
        except Exception as error:  # noqa: BLE001 - trackers raise what they like, and a run is worth more than a curve
            _LOG.exception("tracker %s", name)
            self._trackers.pop(name, None)
            message = f"The tracker {name} failed and is left out from here on: {type(error).__name__}: {error}."
            self._warnings.append(WarningRaised(message=message, hint="The journal has everything; see log.txt."))
