from pathlib import Path

import pytest

from tests.screens.inks import INKS
from tests.screens.recipe.test_form_rows import outlook_of
from tui_tuner.recipe import Recipe
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import GLYPH_SETS
from tui_tuner.screens.recipe import field_words, side_panels
from tui_tuner.units import memory


@pytest.mark.parametrize("name", GLYPH_SETS)
def test_the_memory_bar_is_as_wide_as_asked_and_its_parts_are_told_apart(name: str, tmp_path: Path) -> None:
    plan = outlook_of(tmp_path, Draft()).plan
    assert plan is not None
    bar, *legend = side_panels.memory_lines(plan.memory, 33, GLYPH_SETS[name], INKS).split("\n")  # type: ignore[index]
    signs = {line.plain[0] for line in legend[:-1]}
    assert bar.cell_len == 33 and len(signs) == 5 and signs <= set(bar.plain)


def test_the_components_are_those_of_the_plan(tmp_path: Path) -> None:
    plan = outlook_of(tmp_path, Draft()).plan
    assert plan is not None
    assert sum(size for _, size, _ in side_panels.memory_parts(plan.memory, INKS)) == plan.memory.total
    text = side_panels.memory_lines(plan.memory, 33, GLYPH_SETS["braille"], INKS).plain
    assert memory(plan.memory.weights) in text


def test_the_curve_is_as_large_as_asked(tmp_path: Path) -> None:
    plan = outlook_of(tmp_path, Draft()).plan
    assert plan is not None
    lines = side_panels.curve(plan, 35, 10, GLYPH_SETS["braille"], INKS).plain.split("\n")
    assert len(lines) == 10 and {len(line) for line in lines} == {35}


def test_the_time_is_not_guessed_before_there_are_data(tmp_path: Path) -> None:
    _, _, words = side_panels.run_lines(outlook_of(tmp_path, Draft()), INKS).plain.partition("time")
    speed, reason, *_ = words.splitlines()
    assert "tok/s" in speed and " at " not in speed and "on an H200" in reason


def test_words_are_only_kept_for_fields_that_exist(tmp_path: Path) -> None:
    plan = outlook_of(tmp_path, Draft()).plan
    for name in field_words._WRITERS:
        section, field = name.split(".")
        assert field in Recipe.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
        assert isinstance(field_words.field_words(name, plan), str)
