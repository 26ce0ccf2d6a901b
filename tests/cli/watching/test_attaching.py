"""Runs of other processes on the command line: watched, stopped, their logs read."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plans import scripted_events
from tui_tuner.cli.logs import command as logs
from tui_tuner.cli.stop import command as stop
from tui_tuner.cli.watching.attaching import attach
from tui_tuner.controls import Controls
from tui_tuner.errors import RunError
from tui_tuner.events import RunFailed, TrainEvent, event_from_json
from tui_tuner.hosting.launching import open_live_folder
from tui_tuner.hosting.live_folder import LiveFolder, live_folder
from tui_tuner.hosting.mailbox import MailboxReader
from tui_tuner.hosting.notes import ExitStatus, LaunchNote

EVENTS = list(scripted_events())


def append(path: Path, *events: TrainEvent) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(event.model_dump_json() + "\n" for event in events)


@pytest.fixture
def living(tmp_path: Path) -> Iterator[LiveFolder]:
    """A run that lives until its exit is noted, at the end of the test at the latest."""
    live = live_folder(tmp_path, "one")
    lock = open_live_folder(live, LaunchNote(run_id="one", mode="detached"))
    yield live
    os.close(lock)


def ends(live: LiveFolder, **status: object) -> None:
    live.exit.write_text(ExitStatus.model_validate({"time": 1.0, **status}).model_dump_json(), encoding="utf-8")


def test_attach_shows_every_event_once_from_launch_to_end(
    living: LiveFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    append(living.events, *EVENTS[:2])

    def goes_on() -> None:
        time.sleep(0.4)
        append(living.run_folder / "events.jsonl", *EVENTS)
        ends(living, code=0)

    thread = threading.Thread(target=goes_on)
    thread.start()
    assert attach(living, as_json=True) == 0
    thread.join()
    captured = capsys.readouterr()
    assert [event_from_json(line) for line in captured.out.splitlines()] == EVENTS
    assert "Ctrl-C leaves; the run goes on" in captured.err


def test_leaving_says_how_to_come_back(
    living: LiveFolder, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    assert attach(living, as_json=False) == 0
    assert "`tuner attach one` shows it" in capsys.readouterr().err


def test_a_killed_run_shows_how_it_died_and_its_last_words(
    living: LiveFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    append(living.run_folder / "events.jsonl", *EVENTS[:20])
    living.log.write_text("last \x1b[31mwords\n", encoding="utf-8")
    ends(living, signal="SIGKILL")
    assert attach(living, as_json=False) == 4
    told = capsys.readouterr().err
    assert "killed by SIGKILL" in told and "last ␛[31mwords" in told


def test_a_launch_that_failed_gives_its_error_and_exit_code(
    living: LiveFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    append(living.events, RunFailed(error="ModelError", message="no such model", hint="look again"))
    ends(living, code=2)
    assert attach(living, as_json=False) == 2
    assert "error: no such model\n  try: look again" in capsys.readouterr().err


def test_stop_reaches_the_run(living: LiveFolder, capsys: pytest.CaptureFixture[str]) -> None:
    append(living.run_folder / "events.jsonl", *EVENTS[:20])
    stop("one", folder=living.runs_folder)
    controls = Controls()
    MailboxReader(living.mailbox, controls).empty()
    assert controls.is_stopping and not controls.is_aborting
    assert "saves after this step" in capsys.readouterr().out


def test_a_run_that_is_over_cannot_be_stopped(tmp_path: Path) -> None:
    append(tmp_path / "one" / "events.jsonl", *EVENTS)
    with pytest.raises(RunError, match="one is not running"):
        stop("one", folder=tmp_path)


def test_logs_show_both_logs_and_make_their_text_safe(living: LiveFolder, capsys: pytest.CaptureFixture[str]) -> None:
    append(living.run_folder / "events.jsonl", *EVENTS)
    (living.run_folder / "log.txt").write_text("of the run\n", encoding="utf-8")
    living.log.write_text("\x1b]0;title\x07 of the process\nwithout end", encoding="utf-8")
    ends(living, code=0)
    logs("one", follow=True, folder=living.runs_folder)
    assert capsys.readouterr().out == "of the run\n␛]0;title␇ of the process\nwithout end\n"
