"""A run's folder is made whole or not at all, and every line in it is whole."""

import errno
import os
import re
import resource
from pathlib import Path

import pytest

from tests.plans import llama_plan, scripted_events, step_finished
from tui_tuner.errors import MachineError, RunError
from tui_tuner.journal import RunJournal, is_alive, new_run_id, read_events, read_state
from tui_tuner.journal.writing import MAX_ID_LENGTH
from tui_tuner.plan import RunPlan


def create(tmp_path: Path, run_id: str = "r1") -> RunJournal:
    return RunJournal.create(tmp_path / "runs", run_id, "[model]\n", llama_plan())


def test_create_makes_the_whole_folder_for_its_owner_only(tmp_path: Path) -> None:
    with create(tmp_path) as journal:
        assert {path.name for path in journal.folder.iterdir()} == {
            "recipe.toml", "plan.json", "events.jsonl", "log.txt", "checkpoints", "lock",
        }  # fmt: skip
        assert journal.folder.stat().st_mode & 0o777 == 0o700


def test_the_plan_on_disk_reads_back_as_the_plan(tmp_path: Path) -> None:
    with create(tmp_path) as journal:
        journal.write_plan(llama_plan(steps=77))
        assert RunPlan.model_validate_json((journal.folder / "plan.json").read_text()).schedule.total_steps == 77


def test_replaying_the_journal_gives_the_state_that_the_run_had(tmp_path: Path) -> None:
    events = list(scripted_events())
    with create(tmp_path) as journal:
        for event in events:
            journal.append(event)
    assert list(read_events(journal.folder)) == events
    assert read_state(journal.folder).best_eval == read_state(journal.folder).evals[-1]


def test_a_second_run_of_the_same_name_is_refused(tmp_path: Path) -> None:
    create(tmp_path).close()
    with pytest.raises(RunError, match="r1 exists already"):
        create(tmp_path)


def test_a_runs_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(MachineError, match="runs is a file"):
        create(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_an_error_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir(mode=0o500)
    with pytest.raises(MachineError, match="cannot be written: Permission denied"):
        create(tmp_path)


def test_a_disk_that_fills_while_creating_leaves_nothing_behind(tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(MachineError, match="cannot be written: File too large"):
            create(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list((tmp_path / "runs").iterdir()) == []


def test_an_event_that_does_not_fit_the_disk_leaves_no_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with create(tmp_path) as journal:
        journal.append(step_finished(1))
        write = os.write

        def write_half(descriptor: int, data: bytes) -> int:
            if len(data) < 20:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data[:-10])

        monkeypatch.setattr(os, "write", write_half)
        with pytest.raises(MachineError, match="No space left") as caught:
            journal.append(step_finished(2))
        monkeypatch.undo()
        journal.append(step_finished(3))
    assert "Free some space" in caught.value.hint
    assert [getattr(event, "step", None) for event in read_events(journal.folder)] == [1, 3]


def test_the_lock_is_held_until_the_journal_closes(tmp_path: Path) -> None:
    with create(tmp_path) as journal:
        assert is_alive(journal.folder)
        assert (journal.folder / "lock").read_text().startswith(f"{os.getpid()} ")
    assert not is_alive(journal.folder)


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        create(tmp_path)
        os._exit(9)
    os.waitpid(child, 0)
    assert not is_alive(tmp_path / "runs" / "r1")


@pytest.mark.parametrize("model", ["meta-llama/Llama 3.1", "/models/gemma-3/", "...", "x" * 200, "名前"])
def test_run_ids_are_names_that_a_recipe_may_hold(model: str, tmp_path: Path) -> None:
    run_id = new_run_id(model, tmp_path)
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run_id)
    assert len(run_id) <= MAX_ID_LENGTH


def test_two_runs_in_the_same_second_get_different_ids(tmp_path: Path) -> None:
    first = new_run_id("m", tmp_path)
    (tmp_path / first).mkdir()
    assert new_run_id("m", tmp_path) != first


def test_a_reopened_journal_goes_on_where_whole_lines_end(tmp_path: Path) -> None:
    with create(tmp_path) as journal:
        for step in (1, 2):
            journal.append(step_finished(step))
    with (journal.folder / "events.jsonl").open("ab") as file:
        file.write(b'{"kind":"st')
    with RunJournal.reopen(journal.folder) as again:
        place = again.position
        again.append(step_finished(3))
        assert again.event_at(place)[0] == step_finished(3)
    assert list(read_events(journal.folder)) == [step_finished(step) for step in (1, 2, 3)]


def test_a_living_run_is_not_reopened(tmp_path: Path) -> None:
    with create(tmp_path) as journal, pytest.raises(RunError, match="is in use by process"):
        RunJournal.reopen(journal.folder)


def test_an_empty_journal_may_be_reopened(tmp_path: Path) -> None:
    create(tmp_path).close()
    with RunJournal.reopen(tmp_path / "runs" / "r1") as journal:
        assert (journal.position, journal.event_at(0)[0]) == (0, None)


def test_a_run_of_a_folder_called_model_is_named_after_the_folder_it_is_in(tmp_path: Path) -> None:
    assert new_run_id("/somewhere/starter/model", tmp_path).endswith("-starter")
    assert new_run_id("model", tmp_path).endswith("-model")
