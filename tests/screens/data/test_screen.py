from pathlib import Path

import pytest
from textual.widgets import Input

from tests.screens.data.states import blocked, clean, failed, no_data, until_checked, until_shown
from tests.screens.golden import screen_text
from tests.screens.settling import until, until_planned
from tui_tuner.screens.data.lengths_panel import LengthsPanel
from tui_tuner.screens.data.panels import RowsPanel
from tui_tuner.screens.data.sample_panel import SamplePanel
from tui_tuner.screens.marks import start_obstacle


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all tests: labels are checked once, and found again."""
    return tmp_path_factory.mktemp("data")


async def test_a_file_is_found_by_typing_and_its_labels_are_shown(world: Path) -> None:
    clean(world)
    app = no_data(world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "No data yet" in screen_text(app))
        await pilot.press("o")
        app.screen.query_one(Input).value = f"{world}/chat-"
        await until(pilot, lambda: "chat-" in screen_text(app))
        await pilot.press("enter")
        await until_checked(pilot, app)
        assert app.draft.get("data", "sources")[0]["path"] == str(next(world.glob("chat-*")).resolve())
        assert "▌ Order 00 left Leeds and is due today.</s>" in screen_text(app)


async def test_trained_and_masked_text_differ_by_glyph_and_weight(world: Path) -> None:
    app = clean(world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        lines = app.screen.query_one(SamplePanel)._lines
        trained = next(line for line in lines if "left Leeds" in line.plain)
        masked = next(line for line in lines if "Where is" in line.plain)
        assert trained.plain.startswith("▌") and masked.plain.startswith("·")
        assert "bold" in str(trained.spans[-1].style) or any("bold" in str(one.style) for one in trained.spans)
        assert not any("bold" in str(one.style) for one in masked.spans)


async def test_w_goes_from_problem_to_problem_and_a_check_opens_its_rows(world: Path) -> None:
    app = blocked(world)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        rows = app.screen.query_one(RowsPanel)
        await pilot.press("w")
        assert rows.row == 4
        await until_shown(pilot, app, 4)
        assert "Empty answer" in screen_text(app)
        await pilot.press("c", "enter")
        assert rows.filter == "Row cannot be read" and rows.count == 1 and rows.row == 7
        await pilot.press("escape")
        assert rows.count == 60


async def test_a_run_cannot_start_while_a_check_blocks_and_f_mends_that(world: Path) -> None:
    app = blocked(world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        assert app.bench.label_state and len(app.bench.label_state.reasons) == 2
        assert dict(app.marks)["data"] == "attention"
        await pilot.press("f", "enter")
        await until_planned(pilot, app)
        await until_checked(pilot, app)
        assert app.draft.get("data", "on_bad_row") == "drop"
        assert start_obstacle(app.outlook, app.bench.label_state) is None
        assert dict(app.marks)["data"] == "done"
        await pilot.press("u")
        assert app.draft.get("data", "on_bad_row") == "refuse"
        await until(pilot, lambda: app.bench.label_state and app.bench.label_state.reasons)


async def test_the_gate_names_the_check_that_blocks(world: Path) -> None:
    app = blocked(world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        await until(pilot, lambda: not app.outlook.is_reading_data)
        obstacle = start_obstacle(app.outlook, app.bench.label_state)
        assert obstacle is not None and obstacle[0] == "data" and "Row cannot be read: 1 row" in obstacle[1]
        app.start_run()
        assert app.current_mode == "data"


async def test_the_line_moves_shows_what_it_takes_and_enter_sets_it(world: Path) -> None:
    app = clean(world)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        panel = app.screen.query_one(LengthsPanel)
        before = panel.line
        await pilot.press("minus", "minus")
        assert before is not None and panel.line is not None and panel.line < before
        moved, at = panel.line, panel.labels and panel.labels.at_length(panel.line)
        assert at and f"{at.rows_longer:,}" in screen_text(app) and app.draft.get("data", "max_length") == "auto"
        await pilot.press("enter")
        assert app.draft.get("data", "max_length") == moved
        await until(pilot, lambda: (now := panel.labels) and now.fit and now.fit.max_length == moved, seconds=30)
        await pilot.press("u")
        assert app.draft.get("data", "max_length") == "auto"


async def test_m_shows_ids_and_plain_text_and_text_from_data_steers_nothing(world: Path) -> None:
    app = blocked(world)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        await pilot.press("slash", "4", "enter")
        await until_shown(pilot, app, 3)
        assert "[/INST]" in screen_text(app) and "␛" in screen_text(app) and "\x1b" not in screen_text(app)
        await pilot.press("m")
        await until(pilot, lambda: "plain text" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "</s>⟨2⟩" in screen_text(app))


async def test_a_file_that_is_gone_is_told_with_what_to_do(world: Path) -> None:
    app = failed(world)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until_checked(pilot, app)
        assert "does not exist" in screen_text(app) and "look again" in screen_text(app)


async def test_a_stopped_check_stays_stopped_until_it_is_asked_for(tmp_path: Path) -> None:
    app = clean(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: (state := app.bench.label_state) and state.stage == "reading")
        await pilot.press("x")
        await until(pilot, lambda: (state := app.bench.label_state) and state.stage == "stopped")
        await pilot.press("r")
        await until_checked(pilot, app)
        assert app.bench.label_state and app.bench.label_state.stage == "done"
