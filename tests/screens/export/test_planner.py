"""Plans by real dry runs of the command."""

import time
from pathlib import Path

from tui_tuner.exports import ExportKind
from tui_tuner.screens.export.choices import Choices
from tui_tuner.screens.export.planner import ExportPlanner
from tui_tuner.screens.sources.results import result_at


def test_a_source_that_cannot_be_exported_is_said_with_its_reason(tmp_path: Path) -> None:
    planner = ExportPlanner(tmp_path / "plan", tmp_path / "runs")
    planner.wanted(Choices(result=result_at(str(tmp_path / "nowhere"))))
    for _ in range(3000):
        planner.poll()
        if planner.states() and not planner.is_busy:
            break
        time.sleep(0.02)
    failed = planner.states()[ExportKind.ADAPTER].failed
    assert failed is not None and "nowhere" in failed.message


def test_nothing_is_asked_before_there_is_a_source(tmp_path: Path) -> None:
    planner = ExportPlanner(tmp_path / "plan", tmp_path / "runs")
    assert not planner.poll() and not planner.is_busy and not (tmp_path / "plan").exists()
