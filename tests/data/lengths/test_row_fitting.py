"""Rows above the max length, with a real tokenizer and renderers: what is trained of them, and what is said of it."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.material import CHATML, THINKING, recipe_of, tiny_tokenizer, turns, write_lines, write_tokenizer
from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.data.label_audit import AuditedRow, audit_rows
from tui_tuner.data.labels import LabelledRow, label_rows
from tui_tuner.data.lengths.row_fitting import FittedRow, RowFitter
from tui_tuner.data.rendering.pool import RenderPool
from tui_tuner.data.rendering.template_choice import choose_template
from tui_tuner.data.rows import Conversation
from tui_tuner.errors import DataError

SHORTEST = 26
"""Tokens of an exchange in ChatML with a question and an answer of a few letters."""
Row = Mapping[str, list[dict[str, str]]]
Fit = Callable[[Conversation, int], tuple[int, FittedRow | None]]
SHORTENED_DISAGREES = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content }}"
    "{% if 'over' in m.content and messages|length < 4 and m.role == 'assistant' %}{{ '<|im_end|> and' }}{% endif %}"
    "{{ '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The two methods differ on the answer "over" in conversations of fewer than four messages."""


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "model", CHATML)


def exchanges(*lengths: int, system: str = "") -> Row:
    """One exchange of about so many tokens for each length, numbered from 0."""
    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    for number, length in enumerate(lengths):
        messages += [
            {"role": "user", "content": f"q{number}"},
            {"role": "assistant", "content": f"a{number} " + "x" * (length - SHORTEST)},
        ]
    return {"messages": messages}


def audited(model: Path, path: Path, max_length: int, **data: Any) -> tuple[list[AuditedRow], LabelReport]:
    with audit_rows(recipe_of(path, **data).data, model, "assistant", max_length, lambda *_: None) as run:
        return list(run.rows()), run.report


def label(model: Path, path: Path, **data: Any) -> LabelledData:
    return label_data(recipe_of(path, evaluation_fraction=0.0, **data), model, 4096, lambda *_: None)


def test_the_oldest_turns_are_dropped_and_the_rest_is_the_row_without_them(tmp_path: Path, model: Path) -> None:
    rows = [exchanges(60, 60, 60, system="be kind"), exchanges(60, 60, system="be kind")]
    path = write_lines(tmp_path / "a.jsonl", rows)
    (row, _), _ = audited(model, path, 180)
    assert (row.num_turns_dropped, len(row.cut_ids)) == (2, 0)
    assert "be kind" in row.text
    assert "q0" not in row.text
    assert row.text.startswith("<|im_start|>system\nbe kind<|im_end|>\n<|im_start|>user\nq1<|im_end|>")
    (detail,) = (one.detail for one in row.findings if one.check == "row_cut")
    assert detail.startswith("the 2 oldest turns are dropped")


def test_a_row_whose_last_exchange_does_not_fit_is_left_out_and_told(tmp_path: Path, model: Path) -> None:
    rows = [exchanges(60, 300), exchanges(300), exchanges(60)]
    audited_rows, report = audited(model, write_lines(tmp_path / "a.jsonl", rows), 100)
    for row in audited_rows[:2]:
        assert [one.check for one in row.findings if one.check.startswith("row_")] == ["row_left_out"]
        assert (len(row.input_ids), len(row.cut_ids) >= 300) == (0, True)
    assert (len(audited_rows[2].cut_ids), report.fit.rows_left_out if report.fit else None) == (0, 2)
    left_out = next(one for one in report.checks if one.check == "row_left_out")
    assert (left_out.severity, left_out.first_rows) == ("warning", (0, 1))


@pytest.mark.parametrize(("max_length", "over_length"), [("auto", "keep_turns"), (128, "keep_turns"), (128, "cut")])
def test_training_takes_what_the_audit_shows(
    tmp_path: Path, model: Path, max_length: int | str, over_length: str
) -> None:
    rows = [exchanges(60)] * 200 + [exchanges(60, 60, 60, 60), exchanges(50, 400)]
    path = write_lines(tmp_path / "a.jsonl", rows)
    data = label(model, path, max_length=max_length, over_length=over_length)
    shown, report = audited(model, path, data.facts.max_length, over_length=over_length)
    kept = [row for row in shown if len(row.input_ids)]
    assert len(data.train) == len(kept) < len(rows) + 1
    for row, example in zip(kept, data.train, strict=True):
        assert np.array_equal(row.input_ids, example.input_ids)
        assert np.array_equal(row.labels, example.labels)
    assert data.report == report
    assert report.fit is not None
    assert (data.facts.num_cut, data.facts.num_dropped) == (report.fit.rows_shortened, report.fit.rows_left_out)


@pytest.fixture(name="fitted", scope="module")
def _fitted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fit]:
    """Fits one conversation; answers with the length of the row, and what is left of it."""
    tokenizer = tiny_tokenizer(tmp_path_factory.mktemp("model"))
    with RenderPool() as pool:
        pool.load(choose_template("chatml", tokenizer).audited(tokenizer))

        def fit(sample: Conversation, max_length: int) -> tuple[int, FittedRow | None]:
            ((_, rendered),) = pool.rows([(None, [sample])])
            (row,) = label_rows(rendered, tokenizer, "assistant")
            assert isinstance(row, LabelledRow)
            (fitted,) = RowFitter(max_length, "keep_turns", pool, tokenizer, "assistant").fit([sample], [row])
            return row.example.num_tokens, fitted

        yield fit


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 60), min_size=1, max_size=12),
    max_length=st.integers(30, 500),
    has_system=st.booleans(),
)
def test_as_few_turns_as_possible_are_dropped(
    fitted: Fit, lengths: list[int], max_length: int, has_system: bool
) -> None:
    """What is left are the last exchanges as they were, and one more would not fit."""
    head = [("system", "s")] if has_system else []
    said = [(("user", "q"), ("assistant", "a" * (1 + length))) for length in lengths]
    sizes = [
        fitted(turns(*head, *(turn for pair in said[start:] for turn in pair)), 10_000)[0] for start in range(len(said))
    ]
    _, row = fitted(turns(*head, *(turn for pair in said for turn in pair)), max_length)
    first = next((number for number, size in enumerate(sizes) if size <= max_length), None)
    if first == 0:
        assert row is None
        return
    assert row is not None
    assert (row.example.num_tokens if row.example else None) == (None if first is None else sizes[first])
    assert row.num_turns_dropped == (0 if first is None else 2 * first)


def test_a_template_that_looks_at_the_last_question_is_asked_again(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "thinking", THINKING)
    rows = [exchanges(60, 60, 60)]
    (row,), _ = audited(model, write_lines(tmp_path / "a.jsonl", rows), 170)
    assert (row.num_turns_dropped, row.text.count("<think>")) == (2, 1)


def test_a_row_is_audited_again_without_its_turns(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "changing", SHORTENED_DISAGREES)
    last = [{"role": "user", "content": "b"}, {"role": "assistant", "content": "over"}]
    messages = [*exchanges(60)["messages"], *last]
    path = write_lines(tmp_path / "a.jsonl", [{"messages": messages}, exchanges(50)])
    (row, _), report = audited(model, path, 70)
    assert ("disagreement", 3) in [(one.check, one.message) for one in row.findings]
    assert (report.refuses, report.num_compared, report.num_agreeing) == (True, 2, 1)
    data = label(model, path, max_length=70, on_disagreement="drop")
    assert (len(data.train), len(data.bad_rows), data.report.refuses) == (1, 1, False)


def test_pairs_lose_the_same_turns_and_go_on_sharing_their_prompt(tmp_path: Path, model: Path) -> None:
    said = exchanges(60, 60, 60)["messages"]
    pair = {"chosen": said, "rejected": [*said[:-1], {"role": "assistant", "content": "bad"}]}
    (row,), report = audited(model, write_lines(tmp_path / "a.jsonl", [pair]), 140)
    assert (row.num_turns_dropped, row.text.count("<|im_start|>user")) == (2, 2)
    assert not {"preference_prefix", "disagreement"} & {one.check for one in report.checks}


def test_where_everything_is_trained_what_loses_no_turn_is_cut_and_told(tmp_path: Path, model: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [exchanges(60, 60), exchanges(300)])
    with audit_rows(recipe_of(path).data, model, "everything", 100, lambda *_: None) as run:
        first, second = run.rows()
    assert (first.num_turns_dropped, len(first.cut_ids)) == (2, 0)
    assert (len(second.input_ids), {"row_cut", "answer_cut"} <= {one.check for one in second.findings}) == (100, True)
    assert "fragment_left" not in {one.check for one in second.findings}


def test_data_that_changes_while_it_is_read_is_refused(tmp_path: Path, model: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", [exchanges(60)] * 200 + [exchanges(60, 60, 60, 60)])

    def change(_done: int, _total: int) -> None:
        write_lines(path, [exchanges(60)] * 201)

    with pytest.raises(DataError, match="when it was read first"):
        label_data(recipe_of(path), model, 4096, change)
