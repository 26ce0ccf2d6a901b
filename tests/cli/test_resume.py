"""`tuner resume` and what other commands say of runs that can go on."""

import json
from pathlib import Path

import pytest

from tests.plans import llama_plan, scripted_events
from tui_tuner.cli import main
from tui_tuner.cli.failures import report_error
from tui_tuner.cli.views.lines import lines_of
from tui_tuner.errors import Change, LabelError
from tui_tuner.events import RunResumed, RunState
from tui_tuner.journal import RunJournal


def tuner(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["tuner", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A complete run, and one that died after its checkpoint of step 20."""
    events = list(scripted_events())
    for name, some in (("complete", events), ("died", events[:40])):
        with RunJournal.create(tmp_path / "runs", name, "", llama_plan()) as journal:
            for event in some:
                journal.append(event)
            (journal.checkpoints_folder / "step-000020").mkdir()
    return tmp_path / "runs"


def test_the_list_of_runs_says_which_can_go_on_and_how(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(runs.parent)
    assert tuner("runs", monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert "died: `tuner resume died` goes on from step 20" in shown
    assert "tuner resume complete" not in shown


def test_machines_are_told_as_well(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tuner("runs", "--folder", str(runs), "--json", monkeypatch=monkeypatch)
    told = {run["id"]: (run["can_resume"], run["checkpoint_step"]) for run in json.loads(capsys.readouterr().out)}
    assert told == {"complete": (False, 20), "died": (True, 20)}


def test_a_complete_run_is_refused_with_what_to_do(
    runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tuner("resume", "complete", "--folder", str(runs), monkeypatch=monkeypatch) == 2
    assert "error: Run complete is complete: it ended after step 40.\n  try: " in capsys.readouterr().err


def test_what_changed_is_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    changes = (Change(what="adapter.alpha", before="8.0", now="32.0"), Change(what="a\x1b[2J", before="x", now="y"))
    report_error(LabelError("Run one would not go on as it began: 2 things have changed.", "Put it back.", changes))
    assert capsys.readouterr().err.splitlines() == [
        "error: Run one would not go on as it began: 2 things have changed.",
        "  what           before  now",
        "  adapter.alpha  8.0     32.0",
        "  a␛[2J          x       y",
        "  try: Put it back.",
    ]


def test_a_run_that_goes_on_says_from_where_and_what_was_accepted() -> None:
    accepted = (Change(what="the version of torch", before="2.12", now="2.13"),)
    event = RunResumed(folder="runs/one", step=20, checkpoint="runs/one/checkpoints/step-000020", accepted=accepted)
    lines = [str(line) for line in lines_of(RunState(), event)]
    assert "step 20" in lines[0] and "checkpoints/step-000020" in lines[0]
    assert "the version of torch: 2.12, now 2.13" in lines[1]
