from pathlib import Path

from tests.plans import llama_plan, scripted_events, step_finished
from tui_tuner.events import RunStarted, TrainEvent
from tui_tuner.journal.speeds import MOST_FOUND, measured_speeds

MODEL = llama_plan().model.source


def _write(folder: Path, events: list[TrainEvent]) -> None:
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in events))


def test_a_speed_is_that_of_the_last_steps(tmp_path: Path) -> None:
    _write(tmp_path / "20260801-a", list(scripted_events(steps=40)))
    (found,) = measured_speeds(tmp_path, MODEL)
    assert (found.run_id, round(found.tokens_per_second)) == ("20260801-a", round(32_768 / 1.78))
    assert found.plan.model.source == MODEL


def test_other_models_torn_journals_and_strange_folders_are_passed_over(tmp_path: Path) -> None:
    _write(tmp_path / "a", list(scripted_events()))
    (tmp_path / "empty").mkdir()
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "events.jsonl").write_text(f'{{"kind": "{MODEL}')
    (tmp_path / "note.txt").write_text("not a run")
    assert measured_speeds(tmp_path, "other/model") == ()
    assert [one.run_id for one in measured_speeds(tmp_path, MODEL)] == ["a"]
    assert measured_speeds(tmp_path / "nowhere", MODEL) == ()


def test_the_first_steps_alone_say_nothing(tmp_path: Path) -> None:
    started = next(one for one in scripted_events() if isinstance(one, RunStarted))
    _write(tmp_path / "young", [started, *(step_finished(step) for step in (1, 2, 3))])
    assert measured_speeds(tmp_path, MODEL) == ()


def test_the_newest_runs_are_enough(tmp_path: Path) -> None:
    events = list(scripted_events(steps=10))
    for number in range(MOST_FOUND + 3):
        _write(tmp_path / f"run-{number:02}", events)
    found = [one.run_id for one in measured_speeds(tmp_path, MODEL)]
    assert len(found) == MOST_FOUND and found[0] == f"run-{MOST_FOUND + 2:02}"
