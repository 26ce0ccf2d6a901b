"""The palette, `?`, the key bar and docs/keys.md say the same of every key, for all are read from the bindings."""

from pathlib import Path

import pytest

from tests.screens.world import make_app
from tui_tuner.screens.commands import MOVES, palette_commands
from tui_tuner.screens.dialogs.help import key_lines
from tui_tuner.screens.key_names import key_name, label_of
from tui_tuner.screens.key_reference import key_reference
from tui_tuner.screens.stations import STATIONS
from tui_tuner.screens.widgets.key_bar import KeyBar

PAGE = Path(__file__).parents[2] / "docs" / "keys.md"
NAMES = ("LoRA+", "TOML", "GGUF type", "B", *(entry.title for entry in STATIONS))
"""Labels that are names."""


def test_the_page_of_keys_is_as_the_bindings_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == key_reference(), "docs/keys.md is old: make docs"


def test_labels_of_keys_are_in_lower_case() -> None:
    labels = [line.split(" | ")[1] for line in key_reference().splitlines() if line.startswith("| `")]
    assert len(labels) > 60
    assert [one for one in labels if one[0].isupper() and one not in NAMES] == []


@pytest.mark.parametrize("key", [entry.key for entry in STATIONS])
async def test_help_the_palette_and_the_page_know_every_key_of_a_station(key: str, tmp_path: Path) -> None:
    app, page = make_app(tmp_path), key_reference()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        here = [one for one in app.screen.active_bindings.values() if one.node is not app and label_of(one)]
        said = key_lines(app.screen).plain
        offered = {command.title for command in palette_commands(app, app.screen)}
        assert here and len({one.binding.action for one in here}) >= 5
        for one in here:
            is_moving = (one.binding.id or "").startswith(MOVES)
            assert label_of(one) in said
            assert not one.enabled or is_moving or f"here: {label_of(one)}" in offered
            is_ours = one.binding.description and one.binding.id
            assert not is_ours or f"`{key_name(one.binding.key)}`" in page, one.binding


@pytest.mark.parametrize("key", [entry.key for entry in STATIONS])
async def test_the_key_bar_fits_and_ends_with_help(key: str, tmp_path: Path) -> None:
    app = make_app(tmp_path)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
        await pilot.pause()
        line = app.screen.query_one(KeyBar).render()
        assert line.plain.endswith("? help") and line.cell_len <= 80
