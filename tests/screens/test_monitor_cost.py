"""What watching costs: bytes on the line and processor time, in a real terminal over a run that goes on."""

import os
import time
from pathlib import Path

from tests.plans import llama_plan, scripted_events, step_finished
from tests.screens.pseudo_terminal import PseudoTerminal
from tui_tuner.journal import RunJournal
from tui_tuner.recipe import recipe_to_toml

STEPS_A_SECOND = 20
SECONDS = 6.0
MOST_KIBIBYTES = 15.0
"""A second. About 1 was measured at 120 x 40."""
MOST_OF_A_CORE = 0.25
"""Of one processor. 0.03 was measured while four other programs ran on each."""


def test_a_monitor_is_cheap_for_the_line_and_for_the_processor(tmp_path: Path) -> None:
    plan = llama_plan(steps=5000)
    with RunJournal.create(tmp_path / "runs", "watched", recipe_to_toml(plan.recipe), plan) as journal:
        for event in scripted_events(steps=10, plan=plan):
            if event.kind not in ("proof", "run_finished"):
                journal.append(event)
        terminal = PseudoTerminal(tmp_path, "attach", "watched", size=(40, 120))
        terminal.wait_for("Journal")
        terminal.wait_for("5,000")
        _watch(terminal, journal, 11, 2.0)
        before = _processor_seconds(terminal.process)
        terminal.output = b""
        seconds, step = _watch(terminal, journal, 60, SECONDS)
        used = _processor_seconds(terminal.process) - before
        terminal.kill()
    assert step > 60 + STEPS_A_SECOND
    assert 0 < len(terminal.output) / 1024 / seconds < MOST_KIBIBYTES
    assert used / seconds < MOST_OF_A_CORE


def _watch(terminal: PseudoTerminal, journal: RunJournal, step: int, seconds: float) -> tuple[float, int]:
    """Let the run take steps while what the terminal is sent is read; returns the seconds and the last step."""
    began = time.perf_counter()
    while (passed := time.perf_counter() - began) < seconds:
        journal.append(step_finished(step, time=time.time()))
        step += 1
        terminal.read_for(1 / STEPS_A_SECOND)
    return passed, step


def _processor_seconds(process: int) -> float:
    """User and system time of a process (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
