"""Labelling beside the caller: its progress is told, and it ends when nobody waits for it."""

import threading
from pathlib import Path

from tests.engine.tiny_runs import greetings, recipe_in, write_rows
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.events import Phase
from tui_tuner.hardware import probe_hardware
from tui_tuner.planning.run_plan import make_plan


def test_progress_is_told_up_to_the_last_row(tmp_path: Path) -> None:
    plan = make_plan(recipe_in(tmp_path), probe_hardware())
    told = list(label_with_progress(plan))
    assert {one.phase for one in told} == {Phase.LABELLING}
    assert told[-1].done == told[-1].total


def test_a_caller_that_leaves_leaves_no_thread_behind(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", greetings(20_000))
    labelling = label_with_progress(make_plan(recipe_in(tmp_path), probe_hardware()))
    first = next(labelling)
    labelling.close()
    assert first.total is not None
    assert first.done < first.total
    assert not any(thread.name.startswith("labelling") for thread in threading.enumerate())
