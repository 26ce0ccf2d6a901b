"""Ten thousand runs: listed from what is remembered, looked at again for next to nothing, moved through at once."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.screens.golden import screen_text
from tests.screens.runs.material import finished, write_run
from tests.screens.settling import until
from tests.screens.world import make_app
from tui_tuner.journal import summarise
from tui_tuner.screens.runs.catalogue import RunCatalogue
from tui_tuner.screens.runs.index import INDEX_NAME, Seen, load_index, save_index

MANY = 10_000


def _write_runs(runs: Path, number: int) -> None:
    """Runs that share one journal: many names, one file."""
    journal = write_run(runs, "20260801-000000", (2.0, 1.0), finished()) / "events.jsonl"
    for second in range(1, number):
        folder = runs / f"20260801-{second:06}"
        folder.mkdir()
        os.link(journal, folder / "events.jsonl")


@pytest.mark.parametrize("number", [600, pytest.param(MANY, marks=pytest.mark.nightly)])
def test_a_session_begins_with_what_the_last_one_read(number: int, tmp_path: Path) -> None:
    _write_runs(tmp_path / "runs", number)
    index = tmp_path / "state" / "runs.jsonl"
    first = RunCatalogue((tmp_path / "runs",), index).entries()
    assert len(load_index(index)) == number and index.stat().st_mode & 0o077 == 0
    began = time.thread_time()
    again = RunCatalogue((tmp_path / "runs",), index)
    assert again.entries() == first
    assert time.thread_time() - began < 0.5 + number * 0.0005  # measured: 0.00003 each
    began = time.thread_time()
    assert again.glance() is again.glance()
    assert time.thread_time() - began < 0.1  # measured: 0.004


def test_what_is_known_so_far_is_shown_while_the_rest_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_tuner.screens.runs.catalogue.PART_SECONDS", 0.0)
    _write_runs(tmp_path, 3)
    parts = [[one.summary.id for one in part] for part in RunCatalogue((tmp_path,)).growing()]
    assert parts[0] == ["20260801-000002"] and len(parts[-1]) == 3


def test_a_damaged_memory_costs_nothing_but_time(tmp_path: Path) -> None:
    _write_runs(tmp_path / "runs", 2)
    (tmp_path / "runs.jsonl").write_bytes(b"\xff\xfe{not a line\n{}\n")
    assert len(RunCatalogue((tmp_path / "runs",), tmp_path / "runs.jsonl").entries()) == 2


def test_a_glance_sees_a_run_that_came_and_one_that_went(tmp_path: Path) -> None:
    _write_runs(tmp_path, 2)
    catalogue = RunCatalogue((tmp_path,))
    assert len(catalogue.entries()) == 2
    write_run(tmp_path, "20260802-000000")
    assert len(catalogue.glance()) == 3


async def test_keys_move_through_ten_thousand_runs_at_once(tmp_path: Path) -> None:
    _write_runs(tmp_path / "runs", MANY)
    _remember(tmp_path / "runs", tmp_path / "state" / INDEX_NAME)
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: f"{MANY:,} runs  ·  ~/runs" in screen_text(app), seconds=60)
        began = time.process_time()
        await pilot.press("G", "k", "g", "j", "slash", *"0042", "enter")
        await until(pilot, lambda: "20260801-000042" in screen_text(app))
        assert time.process_time() - began < 6.0  # measured: 0.9, most of it the pilot's own


def _remember(runs: Path, index: Path) -> None:
    """As if an earlier session had read them all."""
    summary = summarise(runs / "20260801-000000")
    facts = (runs / summary.id / "events.jsonl").stat()
    seen = [
        Seen(
            journal=f"{folder}/events.jsonl",
            size=facts.st_size,
            changed=facts.st_mtime_ns,
            summary=replace(summary, id=folder.name, folder=str(folder)),
        )
        for folder in runs.iterdir()
    ]
    save_index(index, seen)
