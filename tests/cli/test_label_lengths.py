"""`tuner labels` at a max length, given or settled: rows as they will be trained, and what they lose."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cli.test_labels import LLAMA, PLAIN, RECIPE, Done, Labels, Row, chat, labels
from tests.data.material import write_lines

__all__ = ["labels"]
LOST = chat(*[("user", "first?"), ("assistant", "A" * 400)], *[("user", "second?"), ("assistant", "B" * 300)])
TOO_LONG = chat(("user", "all?"), ("assistant", "C" * 600))


@pytest.fixture(name="recipe")
def _recipe(labels: Labels, tmp_path: Path) -> Labels:
    """Runs `tuner labels r.toml`: rows 0 to 2 are short, row 3 loses its first turns, row 4 is left out."""
    (tmp_path / "tok" / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "r.toml").write_text(RECIPE)
    write_lines(tmp_path / "test.jsonl", [chat(("user", "a"), ("assistant", "b"))])

    def run(*arguments: str, rows: Sequence[Row] = (*PLAIN, LOST, TOO_LONG)) -> Done:
        write_lines(tmp_path / "train.jsonl", rows)
        return labels("r.toml", *arguments)

    return run


@pytest.mark.parametrize("choice", [("--row", "3"), ("--next", "row_cut"), ("--row", "3", "--max-length", "512")])
def test_a_row_is_shown_as_it_will_be_trained(recipe: Labels, choice: Sequence[str]) -> None:
    done = recipe(*choice)
    assert "Row 3 " in done.words
    assert "✂ the 2 oldest turns are dropped, to fit the max length" in done.words
    assert "second?" in done.words
    assert "first?" not in done.words


def test_a_row_that_fits_is_shown_whole(recipe: Labels) -> None:
    done = recipe("--row", "1")
    assert "What is 1?" in done.words
    assert "✂" not in done.words


def test_a_row_that_is_left_out_is_shown_behind_scissors(recipe: Labels) -> None:
    done = recipe("--row", "4")
    assert "left out for its length" in done.words
    assert "✂ from here on cut off by the max length" in done.words
    assert "! Row left out for its length" in done.words


def test_the_end_that_a_cut_takes_is_marked(recipe: Labels) -> None:
    done = recipe("--row", "3", "--set", "data.over_length=cut")
    assert "first?" in done.words
    assert "✂ from here on cut off by the max length" in done.words


def test_the_worst_rows_are_those_that_lose_most(recipe: Labels) -> None:
    assert "Row 4 " in recipe("--worst", "--limit", "1").words


def test_the_report_says_what_the_policy_takes_and_opens_the_rows(recipe: Labels) -> None:
    words = recipe().words
    assert 'data.over_length = "keep_turns" · 1 row without their oldest turns (2 turns) · 1 row left out' in words
    assert "! Row left out for its length · 1 row: 4" in words
    assert "3 train.jsonl:4" in recipe("--check", "row_cut").words
    assert "4 train.jsonl:5" in recipe("--check", "row_left_out").words


def test_a_row_that_cannot_be_read_has_a_check_of_its_own(labels: Labels, tmp_path: Path) -> None:
    write_lines(tmp_path / "rows.jsonl", PLAIN)
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"messages": [\n{"messages": 5}\n')
    done = labels("--model", "tok", "--data", "rows.jsonl", "--report-json")
    report = done.objects[0]["report"]
    (check,) = (one for one in report["checks"] if one["severity"] == "blocking")
    assert (check["check"], check["first_rows"], done.code) == ("unreadable", [3, 4], 3)
    words = labels("--model", "tok", "--data", "rows.jsonl", "--check", "unreadable").words
    assert "3 rows.jsonl:4 JSON is cut off" in words
