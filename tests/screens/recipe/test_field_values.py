from typing import Any

import pytest

from tui_tuner.recipe.schema import schema_at
from tui_tuner.screens.draft import Draft, Path
from tui_tuner.screens.recipe.field_values import edit_text, nudged, parse, picks, problem_of, value_words, with_field
from tui_tuner.screens.recipe.form_rows import FormRow


def _schema(path: Path) -> dict[str, Any]:
    schema = schema_at(path)
    assert schema is not None
    return schema


def _row(path: Path, value: Any, planned: str = "") -> FormRow:
    return FormRow(path=path, title="", schema=_schema(path), value=value, planned=planned)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        (("adapter", "rank"), "1,024", 1024),
        (("optimizer", "learning_rate"), "2e-4", 2e-4),
        (("optimizer", "learning_rate"), "auto", "auto"),
        (("training", "max_steps"), "", None),
        (("data", "shuffle"), "no", False),
        (("data", "packing"), "yes", True),
        (("adapter", "targets"), "q_proj, v_proj", ["q_proj", "v_proj"]),
        (("adapter", "layers"), "0, 1", [0, 1]),
        (("training", "sample_prompts"), '["Hello, you", "b"]', ["Hello, you", "b"]),
        (("data", "sources", 0, "columns"), 'prompt = "q"', {"prompt": "q"}),
        (("data", "sources"), "a.jsonl, b.jsonl", [{"path": "a.jsonl"}, {"path": "b.jsonl"}]),
    ],
)
def test_text_becomes_the_value_of_its_field(path: Path, text: str, value: Any) -> None:
    assert parse(text, _schema(path)) == value


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("adapter", "rank"), "many"),
        (("data", "shuffle"), "perhaps"),
        (("output", "folder"), ""),
        (("adapter", "alpha"), "x"),
    ],
)
def test_text_that_means_nothing_is_refused_with_what_the_field_takes(path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="takes "):
        parse(text, _schema(path))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("adapter", "targets"), ["q_proj"]),
        (("training", "sample_prompts"), ["Hello, you"]),
        (("data", "sources", 0, "columns"), {"prompt": "my question"}),
        (("optimizer", "epsilon"), 1e-8),
        (("adapter", "rank"), 1024),
    ],
)
def test_a_value_survives_being_typed_again(path: Path, value: Any) -> None:
    assert parse(edit_text(value), _schema(path)) == value


def test_a_table_keeps_what_it_held_when_paths_are_typed_anew() -> None:
    before = [{"path": "a.jsonl", "weight": 2.0}]
    typed = parse("b.jsonl, a.jsonl", _schema(("data", "sources")), before)
    assert typed == [{"path": "b.jsonl"}, {"path": "a.jsonl", "weight": 2.0}]


@pytest.mark.parametrize(
    ("path", "value", "planned", "up", "down"),
    [
        (("adapter", "rank"), 16, "", 32, 8),
        (("adapter", "rank"), 1, "", 2, 1),
        (("adapter", "rank"), 1024, "", 1024, 512),
        (("training", "micro_batch_size"), "auto", "8", 16, 4),
        (("optimizer", "learning_rate"), "auto", "0.0002", 5e-4, 1e-4),
        (("optimizer", "warmup_steps"), 10, "", 11, 9),
        (("adapter", "dropout"), 0.0, "", 0.05, 0.0),
        (("optimizer", "schedule"), "linear", "", "cosine", "constant"),
        (("data", "shuffle"), True, "", False, False),
    ],
)
def test_a_nudge_goes_one_step_and_stays_within_bounds(
    path: Path, value: Any, planned: str, up: Any, down: Any
) -> None:
    row = _row(path, value, planned)
    assert (nudged(row, 1), nudged(row, -1)) == (up, down)


def test_a_text_is_not_nudged() -> None:
    assert nudged(_row(("output", "folder"), "runs"), 1) == "runs"


def test_setting_steps_takes_epochs_out_of_the_way() -> None:
    draft = with_field(Draft({"training": {"epochs": 2}}), ("training", "max_steps"), 40)
    assert draft.tables == {"training": {"max_steps": 40}} and not problem_of(draft, ("training", "max_steps"))


def test_picks_are_words_and_yes_and_no() -> None:
    assert picks(_schema(("data", "packing"))) == ("auto", True, False)


def test_values_are_said_as_people_say_them() -> None:
    said = [value_words(value) for value in (None, True, 2e-4, 1024, 0.5, [], ["a", "b"], "auto")]
    assert said == ["not set", "yes", "2e-4", "1,024", "0.5", "none", "a, b", "auto"]
