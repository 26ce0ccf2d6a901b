"""An export in its own process: followed while it lives, found again afterwards, killed whole."""

import time
from pathlib import Path

from tests.screens.export.scripted import FINISHED, PLANNED, write_job
from tui_tuner.exports import ExportFailed, ExportKind, ExportRequest
from tui_tuner.hosting.export_job import ExportJob, arguments

REQUEST = ExportRequest(source="nothing-there", kinds=(ExportKind.ADAPTER, ExportKind.HUB), repository="ann/x")


def test_a_request_becomes_the_command_line_that_a_person_would_type() -> None:
    words = arguments(REQUEST.model_copy(update={"is_private": False, "replaces": True}), is_dry_run=True)
    assert words[:4] == ["export", "nothing-there", "--to", "adapter,hub"]
    assert {"--public", "--replace", "--dry-run", "--json"} <= set(words) and words[
        words.index("--repo") + 1
    ] == "ann/x"


def test_a_job_that_is_over_is_found_with_all_that_it_said(tmp_path: Path) -> None:
    write_job(tmp_path / "job", tmp_path, PLANNED, FINISHED)
    with (tmp_path / "job" / "events.jsonl").open("a") as file:
        file.write('a library\'s own words\n{"kind": "half')
    job = ExportJob.found(tmp_path / "job")
    assert job is not None and job.poll() == [PLANNED, FINISHED] and job.is_over and job.poll() == []


def test_there_is_no_job_where_nothing_was_begun(tmp_path: Path) -> None:
    assert ExportJob.found(tmp_path) is None


def test_an_export_that_cannot_be_done_says_why(tmp_path: Path) -> None:
    job = ExportJob.start(REQUEST.model_copy(update={"runs_folder": str(tmp_path)}), tmp_path / "job", is_dry_run=True)
    assert job.is_alive
    said = []
    for _ in range(3000):
        said += job.poll()
        if job.is_over:
            break
        time.sleep(0.02)
    assert any(isinstance(event, ExportFailed) and "nothing-there" in event.message for event in said)


def test_a_cancelled_export_is_gone_at_once(tmp_path: Path) -> None:
    job = ExportJob.start(REQUEST, tmp_path / "job")
    again = ExportJob.found(tmp_path / "job")
    assert again is not None and again.is_alive
    job.cancel()
    assert not job.is_alive and not again.is_alive
    assert [event.kind for event in job.poll()] == ["failed"]
