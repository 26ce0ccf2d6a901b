from pathlib import Path

from tests.planning.model_folders import base_model
from tests.screens.hollow_models import QWEN3_8B
from tests.screens.inks import INKS
from tests.screens.world import GPU_BOX
from tui_tuner.plan import NameDecision
from tui_tuner.recipe import Recipe
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.look.glyphs import ASCII, BRAILLE
from tui_tuner.screens.outlook import Facts, ModelAnswer, Outlook, look_ahead
from tui_tuner.screens.recipe.form_lines import form_line
from tui_tuner.screens.recipe.form_rows import FormRow, form_rows


def outlook_of(folder: Path, draft: Draft) -> Outlook:
    base = base_model(folder, QWEN3_8B)
    name = NameDecision(typed="m", loads="m", reason="")
    facts = Facts(hardware=GPU_BOX, model=ModelAnswer(base=base, name=name))
    return look_ahead(draft.with_value(str(folder), "model", "source"), facts)


def _row(outlook: Outlook, name: str) -> FormRow:
    return next(row for row in form_rows(outlook) if row.dotted == name)


def test_every_field_of_every_section_has_its_line() -> None:
    facts = Facts(hardware=GPU_BOX)
    lines = {row.dotted for row in form_rows(look_ahead(Draft(), facts))}
    for section, field in Recipe.model_fields.items():
        fields = field.annotation.model_fields if field.annotation else {}
        assert {f"{section}.{name}" for name in fields} <= lines


def test_an_auto_shows_what_the_plan_takes_and_why(tmp_path: Path) -> None:
    row = _row(outlook_of(tmp_path, Draft()), "optimizer.learning_rate")
    assert (row.value, row.planned) == ("auto", "0.0002") and "ten times" in row.reason


def test_what_differs_from_its_default_is_marked(tmp_path: Path) -> None:
    outlook = outlook_of(tmp_path, Draft({"adapter": {"rank": 8}}))
    assert _row(outlook, "adapter.rank").is_set and not _row(outlook, "adapter.alpha").is_set


def test_a_problem_stands_at_its_line(tmp_path: Path) -> None:
    row = _row(outlook_of(tmp_path, Draft({"optimizer": {"learning_rate": 3.0}})), "optimizer.learning_rate")
    assert "below 1" in row.problem


def test_each_data_source_has_lines_of_its_own(tmp_path: Path) -> None:
    draft = Draft({"data": {"sources": [{"path": "a.jsonl"}, {"path": "b.jsonl", "weight": 2.0}]}})
    row = _row(outlook_of(tmp_path, draft), "data.sources[1].weight")
    assert (row.title, row.value) == ("2: Weight", 2.0)


def test_lines_fit_narrow_and_wide(tmp_path: Path) -> None:
    for row in form_rows(outlook_of(tmp_path, Draft({"adapter": {"rank": 8}}))):
        for width in (39, 70):
            line = form_line(row, width, BRAILLE, INKS)
            line.truncate(width, overflow="ellipsis")
            assert line.cell_len <= width and (row.is_head or row.title[:4] in line.plain)


def test_ascii_marks_what_differs_too(tmp_path: Path) -> None:
    row = _row(outlook_of(tmp_path, Draft({"adapter": {"rank": 8}})), "adapter.rank")
    assert form_line(row, 39, ASCII, INKS).plain.startswith("* Rank")
