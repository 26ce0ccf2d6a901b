from pathlib import Path

from tests.screens.inks import INKS
from tests.screens.recipe.test_form_rows import outlook_of
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.targets.cost import capacity_words, readout
from tui_tuner.screens.targets.settings_lines import coverage_lines, setting_lines


def test_the_readout_fits_80_columns_and_is_ascii_where_asked(tmp_path: Path) -> None:
    text = readout(outlook_of(tmp_path, Draft()), 43_646_976, ASCII, INKS)
    assert text.cell_len <= 80 and "^ +43.6 M" in text.plain


def test_without_data_the_capacity_is_not_guessed(tmp_path: Path) -> None:
    assert capacity_words(outlook_of(tmp_path, Draft())).startswith("Choose data")


def test_the_layers_with_adapters_are_marked(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft({"adapter": {"layers": [0, 35]}}))
    assert outlook.adapter is not None
    first, *_, last = coverage_lines(outlook.adapter, 36, 40, BRAILLE, INKS).plain.split("\n")
    assert (first[0], first[1], first[35]) == ("■", "·", "■") and last.startswith("2 of 36 layers")


def test_the_scale_follows_the_variant(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft({"adapter": {"variant": "rslora"}}))
    assert "scale 8" in setting_lines(outlook.draft, outlook.adapter, INKS).plain
