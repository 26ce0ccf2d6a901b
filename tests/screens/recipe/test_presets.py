from pathlib import Path

import pytest

from tests.screens.inks import INKS
from tests.screens.recipe.test_form_rows import outlook_of
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import BRAILLE
from tui_tuner.screens.outlook import look_ahead
from tui_tuner.screens.recipe.presets import presets, preview


@pytest.mark.parametrize("number", range(4))
def test_each_preset_plans_on_any_start(number: int, tmp_path: Path) -> None:
    start = Draft({"training": {"epochs": 2, "gradient_accumulation": 4}, "adapter": {"modules_to_save": ["lm_head"]}})
    outlook = outlook_of(tmp_path, start)
    after = look_ahead(presets(outlook)[number].applied_to(outlook.draft), outlook.facts)
    assert after.plan is not None, (after.problems, after.failure)


def test_least_memory_takes_least(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft())
    taken = {}
    for preset in presets(outlook):
        plan = look_ahead(preset.applied_to(outlook.draft), outlook.facts).plan
        assert plan is not None
        taken[preset.name] = plan.memory.total
    assert min(taken, key=lambda name: taken[name]) == "least memory"


def test_a_preview_names_each_field_before_and_after(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft())
    text = preview(presets(outlook)[0], outlook, BRAILLE, INKS).plain
    assert "training.max_steps not set → 60" in text and "adapter.rank 16 → 8" in text and "steps 189 → 60" in text


def test_a_preset_that_is_set_already_says_so(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft())
    first = presets(outlook)[0]
    again = outlook_of(tmp_path, first.applied_to(Draft()))
    assert "already" in preview(first, again, BRAILLE, INKS).plain
