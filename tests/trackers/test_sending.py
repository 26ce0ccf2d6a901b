"""Events in, numbers out: what each tracker's public functions are called with, and what happens when they fail."""

import importlib.machinery
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tests.plans import llama_plan, scripted_events, step_finished
from tui_tuner.errors import Change
from tui_tuner.events import RunResumed
from tui_tuner.plan import RunPlan
from tui_tuner.recipe import TrackerName
from tui_tuner.trackers.sending import TrackerSet, tracker_problems
from tui_tuner.trackers.services import NOTHING_ELSE
from tui_tuner.trackers.tracked import points_in, settings_of

Calls = list[tuple[str, dict[str, Any]]]


class Fake(ModuleType):
    """A package that notes how its public functions are called; `init` gives back itself, as a run."""

    def __init__(self, name: str, calls: Calls, *, broken: str = "") -> None:
        super().__init__(name)
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)
        self._calls, self._broken = calls, broken

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **named: Any) -> "Fake":
            if name == self._broken:
                raise ConnectionError("no route to host")
            self._calls.append((name, {**{str(place): one for place, one in enumerate(arguments)}, **named}))
            return self

        return call


def plan_with(*trackers: TrackerName) -> RunPlan:
    plan = llama_plan(steps=3)
    output = plan.recipe.output.model_copy(update={"trackers": trackers})
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"output": output})})


def tracked(
    name: TrackerName, folder: Path, monkeypatch: pytest.MonkeyPatch, broken: str = ""
) -> tuple[TrackerSet, Calls]:
    """A whole scripted run, sent to a fake of the package."""
    calls: Calls = []
    for variable in ("WANDB_ERROR_REPORTING", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setitem(sys.modules, name, Fake(name, calls, broken=broken))
    trackers = TrackerSet(plan_with(name), folder / "one")
    for event in scripted_events(steps=3):
        trackers.take(event)
    return trackers, calls


def test_trackio_gets_settings_steps_and_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, calls = tracked("trackio", tmp_path, monkeypatch)
    assert calls[0][0] == "init"
    assert calls[0][1] | {"config": {}} == {
        "project": "tuner", "name": "one", "config": {}, "resume": "allow", "embed": False, "auto_log_cpu": False,
        "auto_log_gpu": False,
    }  # fmt: skip
    assert [one["step"] for name, one in calls if name == "log"][:3] == [0, 1, 2]
    assert calls[-1] == ("finish", {})


def test_wandb_keeps_its_hands_off_code_console_and_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, calls = tracked("wandb", tmp_path, monkeypatch)
    assert calls[0] == ("Settings", NOTHING_ELSE)
    assert {"disable_code", "x_disable_machine_info", "x_disable_stats", "silent"} <= NOTHING_ELSE.keys()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert ("define_metric", {"0": "*", "step_metric": "step"}) in calls
    logged = [one["0"] for name, one in calls if name == "log"]
    assert {"train/loss", "train/grad_norm", "step"} <= logged[1].keys()
    assert calls[-1] == ("finish", {"exit_code": 0})


def test_mlflow_gets_parameters_and_a_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, calls = tracked("mlflow", tmp_path, monkeypatch)
    names = [name for name, _ in calls if name != "MlflowClient"]
    assert names[:5] == ["set_tracking_uri", "set_experiment", "search_runs", "start_run", "log_params"]
    assert dict(calls)["set_tracking_uri"] == {"0": f"file://{tmp_path}/mlruns"}
    assert dict(calls)["log_params"]["0"]["rank"] == 16
    assert calls[-1] == ("end_run", {"status": "FINISHED"})


def test_what_a_tracker_prints_stays_off_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chatty = ModuleType("trackio")
    chatty.init = lambda **_: print("* initialized")  # type: ignore[attr-defined]  # noqa: T201 - what it does
    chatty.log = chatty.finish = lambda *_, **__: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "trackio", chatty)
    for event in scripted_events(steps=3):
        TrackerSet(plan_with("trackio"), tmp_path / "one").take(event)
    assert capsys.readouterr().out == ""


def test_a_tracker_that_fails_is_said_once_and_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trackers, calls = tracked("wandb", tmp_path, monkeypatch, broken="log")
    (warning,) = trackers.warnings()
    assert warning.message.startswith(
        "The tracker wandb failed and is left out from here on: ConnectionError: no route"
    )
    assert "finish" not in dict(calls)


def test_nothing_is_tracked_unless_the_recipe_says_so(tmp_path: Path) -> None:
    trackers = TrackerSet(plan_with(), tmp_path)
    for event in scripted_events(steps=3):
        trackers.take(event)
    assert list(tmp_path.iterdir()) == []


def test_a_resumed_run_opens_a_second_event_file(tmp_path: Path) -> None:
    trackers = TrackerSet(plan_with("tensorboard"), tmp_path)
    trackers.take(RunResumed(folder=str(tmp_path), step=2))
    trackers.take(step_finished(3))
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def resumed(folder: Path, monkeypatch: pytest.MonkeyPatch, resume: RunResumed) -> Calls:
    """Steps 2 to 4 of a run that goes on, and that had come to step 3 before."""
    calls: Calls = []
    monkeypatch.setitem(sys.modules, "trackio", Fake("trackio", calls))
    earlier = points_in([step_finished(one) for one in (1, 2, 3)])
    trackers = TrackerSet(plan_with("trackio"), folder / "one", earlier)
    trackers.take(resume)
    for step in (2, 3, 4):
        trackers.take(step_finished(step))
    return calls


def test_steps_that_are_taken_again_are_sent_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = resumed(tmp_path, monkeypatch, RunResumed(folder=str(tmp_path), step=1))
    assert [one["step"] for name, one in calls if name == "log"] == [4]


def test_steps_that_come_out_otherwise_are_sent_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = (Change(what="training.seed", before="1", now="2"),)
    calls = resumed(tmp_path, monkeypatch, RunResumed(folder=str(tmp_path), step=1, accepted=accepted))
    assert [one["step"] for name, one in calls if name == "log"] == [2, 3, 4]


def test_mlflow_goes_on_in_the_run_that_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where no checkpoint had been saved yet: else what is not sent again would be missing."""
    calls: Calls = []
    mlflow, known = Fake("mlflow", calls), SimpleNamespace(info=SimpleNamespace(run_id="known"))
    mlflow.search_runs = lambda *_, **__: [known]  # type: ignore[attr-defined]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///nowhere")
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    TrackerSet(plan_with("mlflow"), tmp_path / "one").take(RunResumed(folder=str(tmp_path), step=0))
    assert dict(calls)["start_run"]["run_id"] == "known"


def test_a_missing_package_is_named_with_its_remedy() -> None:
    (problem,) = tracker_problems(("tensorboard", "wandb"))
    assert str(problem) == (
        'output.trackers: names wandb, which is not installed; `pip install "tui-tuner[wandb]"` adds it'
    )


def test_settings_hold_no_token() -> None:
    plan = llama_plan()
    facts = plan.model.model_copy(update={"source": "https://u:hf_CANARYcanaryCANARY@hub/llama"})
    assert "CANARY" not in str(settings_of(plan.model_copy(update={"model": facts})))
