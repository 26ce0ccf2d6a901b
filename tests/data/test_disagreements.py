"""Rows on which the two methods differ: shown, refused until the user decides, and then treated as decided."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.data.material import CHATML, recipe_of, write_lines, write_tokenizer
from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.data.label_audit import audit_rows
from tui_tuner.data.labels import NOT_TRAINED
from tui_tuner.errors import LabelError

CLOSES_TWICE = CHATML.replace(
    "+ message.content +", "+ message.content + ('<|im_end|> and' if 'over' in message.content else '') +"
)
"""Writes an end-of-turn token of its own into turns that say "over": the methods end them in different places."""


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "model", CLOSES_TWICE)


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "a.jsonl", [{"prompt": "a", "completion": said} for said in ("b", "over", "c")])


def label(model: Path, path: Path, **data: Any) -> LabelledData:
    return label_data(recipe_of(path, evaluation_fraction=0.0, **data), model, 4096, lambda *_: None)


def test_they_refuse_until_the_user_decides(model: Path, path: Path) -> None:
    with pytest.raises(LabelError, match=r"The two methods disagree: 1 row\. The first: .*a\.jsonl:2: ") as refused:
        label(model, path)
    assert refused.value.exit_code == 3
    assert "data.on_disagreement" in refused.value.hint


def test_dropped_ones_are_not_trained_and_are_listed(model: Path, path: Path) -> None:
    data = label(model, path, on_disagreement="drop")
    assert [example.ref.line for example in data.train] == [1, 3]
    assert [(bad.ref.line, "the two methods disagree" in bad.reason) for bad in data.bad_rows] == [(2, True)]
    assert (data.facts.num_dropped, data.report.refuses) == (1, False)


def test_kept_ones_are_trained_as_the_first_method_says(model: Path, path: Path) -> None:
    data = label(model, path, on_disagreement="keep")
    assert [example.ref.line for example in data.train] == [1, 2, 3]
    trained = data.train[1].labels[data.train[1].labels != NOT_TRAINED].tolist()
    assert trained.count(259) == 2
    assert (data.facts.num_dropped, data.report.refuses, data.report.num_agreeing) == (0, False, 2)


@pytest.mark.parametrize(("choice", "refuses"), [("refuse", True), ("drop", False), ("keep", False)])
def test_the_audit_shows_them_whatever_is_decided(model: Path, path: Path, choice: str, refuses: bool) -> None:
    data = recipe_of(path, on_disagreement=choice).data
    with audit_rows(data, model, "assistant", None, lambda *_: None) as run:
        rows = list(run.rows())
    assert ["disagreement" in {one.check for one in row.findings} for row in rows] == [False, True, False]
    assert run.report.refuses == refuses


def test_a_bad_row_is_another_decision(model: Path, path: Path) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"prompt": "a", "completion": ""}) + "\n")
    data = label(model, path, on_disagreement="drop", on_bad_row="drop")
    assert (len(data.train), data.facts.num_dropped) == (2, 2)
