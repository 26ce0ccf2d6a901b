from pathlib import Path

import pytest

from tests.plans import NOON, llama_plan, memory, scripted_events, step_finished
from tests.screens.runs.test_rows import INKS
from tui_tuner.events import ControlApplied, Phase, PhaseStarted, Progress, RunStarted, RunState
from tui_tuner.hardware import GpuMeters, process_memory
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.train.journal_lines import journal_lines
from tui_tuner.screens.train.meters import Gauges, gauge_lines, memory_bar
from tui_tuner.screens.train.samples import sample_lines
from tui_tuner.screens.train.smoothing import smoothed
from tui_tuner.screens.train.waiting import waiting_lines

GPU = GpuMeters(utilisation=97, used_bytes=50 << 30, total_bytes=141 << 30, temperature=61, power_watts=612.0)


def _state() -> RunState:
    return RunState().after_all(tuple(scripted_events()))


def test_the_journal_lists_what_happened_newest_first_and_no_steps() -> None:
    lines = journal_lines(_state())
    assert lines == sorted(lines, key=lambda line: -line.time)
    assert any(line.head.startswith("eval") for line in lines) and not any("step " in line.head for line in lines)


def test_what_a_person_did_is_in_the_journal() -> None:
    state = RunState().after(ControlApplied(time=NOON, step=3, action="learning_rate", value=0.5))
    assert journal_lines(state)[0].text == "learning rate x 0.5"


@pytest.mark.parametrize("glyphs", [BRAILLE, ASCII], ids=["braille", "ascii"])
def test_gauges_fit_their_panel_in_every_glyph_set(glyphs: object) -> None:
    assert glyphs in (BRAILLE, ASCII)
    gauges = Gauges(state=_state(), gpu=GPU, process_bytes=1 << 30, planned_speed=10_000)
    lines = gauge_lines(gauges, 30, 16, BRAILLE if glyphs is BRAILLE else ASCII, INKS)
    assert len(lines) <= 16 and all(line.cell_len <= 30 for line in lines)


def test_the_memory_bar_is_as_long_as_the_peaks_share_of_the_card() -> None:
    line = memory_bar(memory(), peak=12 << 30, total=24 << 30, width=40, glyphs=BRAILLE, inks=INKS)
    assert line.cell_len == 40 and line.plain.count(BRAILLE.track) == 20


def test_the_speed_is_shown_as_a_share_of_the_plan() -> None:
    state = RunState().after_all((RunStarted(run_id="r", folder="f", plan=llama_plan()), step_finished(1)))
    speed = state.recent_tokens_per_second
    assert speed is not None
    lines = gauge_lines(
        Gauges(state=state, gpu=None, process_bytes=None, planned_speed=2 * speed), 40, 9, BRAILLE, INKS
    )
    assert lines[1].plain.startswith("of the plan") and lines[1].plain.endswith("50%")


def test_before_the_first_step_the_stations_are_listed_and_those_behind_it_ticked() -> None:
    progress = Progress(phase=Phase.LABELLING, done=53, total=100)
    state = RunState().after_all((PhaseStarted(phase=Phase.LABELLING), progress))
    lines = [line.plain for line in waiting_lines(state, 48, ASCII, INKS)]
    assert [line[0] for line in lines] == ["v", "v", "*", "-", "-", "-"] and all(len(line) <= 48 for line in lines)
    assert "53 %" in lines[2] and not any("~" in line for line in lines)


def test_smoothing_begins_at_the_first_value_and_leaves_out_nan() -> None:
    assert smoothed([(1, 4.0), (2, float("nan")), (3, 4.0)], 0.9) == [(1, 4.0), (3, pytest.approx(4.0))]


def test_the_base_answers_first_and_the_latest_answer_is_last() -> None:
    lines = [line.plain for line in sample_lines(_state(), 0, 80, 6, BRAILLE, INKS)]
    assert lines[0].startswith("prompt") and any(line.startswith("base") for line in lines)
    assert lines[-1].split()[0] == str(max(one.step for one in _state().samples))


def test_the_memory_of_a_process_is_read_and_of_none_is_none() -> None:
    import os

    own = process_memory(os.getpid())
    assert own is not None and own > 10_000_000 and process_memory(2**22 + 1) is None
    assert Path("/proc").exists()
