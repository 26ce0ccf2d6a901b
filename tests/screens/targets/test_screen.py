from pathlib import Path

from tests.screens.golden import screen_text
from tests.screens.settling import until, until_planned
from tests.screens.targets.states import empty, filled, wrong
from tui_tuner.screens.app import TunerApp
from tui_tuner.screens.targets.screen import TargetsScreen
from tui_tuner.screens.widgets.readout import Readout


def _readout(app: TunerApp) -> str:
    return str(app.screen.query_one(Readout).content)


async def test_each_key_moves_the_figures_and_the_change_is_marked(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        assert _readout(app).startswith("43.6 M 0.53 % · adapter 175 MB")
        await pilot.press("right_square_bracket")
        assert "87.3 M 1.05 % ▲ +43.6 M" in _readout(app)


async def test_the_mark_of_a_change_goes_by_itself(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        await pilot.press("t")
        assert "▼" in _readout(app)
        await until(pilot, lambda: "▼" not in _readout(app), seconds=4)


async def test_space_toggles_the_line_under_the_cursor_and_u_takes_it_back(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        await pilot.press("j", "j", "space")
        assert "q_proj" not in app.draft.get("adapter", "targets")
        await pilot.press("u")
        assert app.draft.get("adapter", "targets") == "auto"


async def test_layers_are_typed_with_a_preview_and_escape_changes_nothing(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        await pilot.press("l", "backspace", "backspace", "backspace", "0", "-", "8")
        assert "63 modules, 10.9 M parameters" in screen_text(app) and _readout(app).startswith("10.9 M")
        await pilot.press("escape")
        assert app.draft.get("adapter", "layers") == "all" and _readout(app).startswith("43.6 M")


async def test_a_wrong_expression_is_said_and_not_taken(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        await pilot.press("slash", "q", "enter")
        assert app.draft.get("adapter", "targets") == ["q_proj"]
        await pilot.press("slash", "(", "enter")
        assert "no regular expression" in screen_text(app) and app.draft.get("adapter", "targets") == ["q_proj"]


async def test_without_a_model_it_says_where_to_go(tmp_path: Path) -> None:
    app = empty(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3", "space", "a", "l")
        assert "Choose a model first: 2 goes there." in screen_text(app)


async def test_a_wrong_target_is_said_with_the_nearest_name(tmp_path: Path) -> None:
    app = wrong(tmp_path)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: app.outlook.problems)
        await until(pilot, lambda: "did you mean" in screen_text(app))
        await pilot.press("a")
        await until_planned(pilot, app)
        assert _readout(app).startswith("43.6 M")


async def test_the_help_counts_what_is_trained(tmp_path: Path) -> None:
    app = filled(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until_planned(pilot, app)
        assert isinstance(app.screen, TargetsScreen) and "43,646,976" in app.screen.help_text()
