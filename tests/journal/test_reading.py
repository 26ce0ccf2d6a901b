"""Journals are read while they are written, and damage in them is named, never skipped."""

from pathlib import Path

import pytest

from tests.plans import llama_plan, step_finished
from tui_tuner.errors import RunError
from tui_tuner.events import event_from_json
from tui_tuner.journal import RunJournal, read_events, tail


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with RunJournal.create(tmp_path, "r1", "", llama_plan()) as journal:
        journal.append(step_finished(1))
        journal.append(step_finished(2))
    return journal.folder


def test_a_torn_last_line_is_left_out(folder: Path) -> None:
    with (folder / "events.jsonl").open("a") as file:
        file.write('{"kind":"step","st')
    assert len(list(read_events(folder))) == 2


def test_garbage_in_the_middle_is_refused_with_its_line(folder: Path) -> None:
    whole = (folder / "events.jsonl").read_bytes()
    (folder / "events.jsonl").write_bytes(whole.replace(b'"kind":"step"', b'"kind":"stop"', 1))
    with pytest.raises(RunError, match=r"events\.jsonl:1 is not an event"):
        list(read_events(folder))


def test_a_folder_without_a_journal_is_a_run_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be read: No such file"):
        list(read_events(tmp_path))


def test_tail_goes_on_where_it_ended(folder: Path) -> None:
    first, offset = tail(folder)
    line = step_finished(3).model_dump_json().encode()
    with (folder / "events.jsonl").open("ab") as file:
        file.write(line[:30])
        file.flush()
        assert tail(folder, offset) == ((), offset)
        file.write(line[30:] + b"\n")
    later, end = tail(folder, offset)
    assert ([event.kind for event in first], [event.kind for event in later]) == (["step", "step"], ["step"])
    assert end == offset + len(line) + 1


def test_a_journal_that_shrank_is_refused(folder: Path) -> None:
    _, offset = tail(folder)
    (folder / "events.jsonl").write_bytes(b"")
    with pytest.raises(RunError, match="became shorter"):
        tail(folder, offset)


def test_a_loss_that_is_no_number_survives_the_journal() -> None:
    event = event_from_json(step_finished(1, loss=float("nan")).model_dump_json())
    assert str(getattr(event, "loss", None)) == "nan"
