"""The report adds up, and refuses where training has to."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.audit.rows import example_of
from tests.data.material import REF
from tui_tuner.data.audit.findings import CHECKS, Finding, finding_of_refusal
from tui_tuner.data.audit.report import LabelReport, OnDisagreement, ReportBuilder

DISAGREEMENT = Finding("disagreement", "2 tokens differ", 1)


def report_of(*findings: Finding, on_disagreement: OnDisagreement = "refuse") -> LabelReport:
    builder = ReportBuilder(on_disagreement=on_disagreement)
    builder.add(0, example_of([1, 2, 3]), findings)
    return builder.report()


@pytest.mark.parametrize(("choice", "refuses"), [("refuse", True), ("drop", False), ("keep", False)])
def test_disagreement_refuses_until_the_user_decides(choice: OnDisagreement, refuses: bool) -> None:
    report = report_of(DISAGREEMENT, on_disagreement=choice)
    assert (report.refuses, report.num_compared, report.num_agreeing) == (refuses, 1, 0)


@pytest.mark.parametrize("name", CHECKS)
def test_exactly_blocking_checks_refuse(name: str) -> None:
    assert report_of(Finding(name, "so")).refuses == (CHECKS[name].severity == "blocking")


def test_a_row_counts_once_for_each_check_and_can_be_opened() -> None:
    builder = ReportBuilder()
    builder.add(7, example_of([1, 2]), (Finding("lost_field", "a", 0), Finding("lost_field", "b", 1)))
    (count,) = builder.report().checks
    assert (count.check, count.num_rows, count.first_rows, count.first_detail) == ("lost_field", 1, (7,), "turn 1: a")


def test_copies_and_leaks_are_found_whichever_comes_first() -> None:
    builder = ReportBuilder()
    for row, (ids, is_evaluation) in enumerate([([9, 9], True), ([1, 2], False), ([9, 9], False), ([1, 2], True)]):
        builder.add(row, example_of(ids), (), is_evaluation)
    builder.add(4, example_of([1, 2]), ())
    assert (builder.report().duplicates, builder.report().leaks) == (1, 2)


def test_a_refused_row_is_counted_under_its_check() -> None:
    builder = ReportBuilder()
    builder.add(0, example_of([1, 2]), ())
    builder.add_refused(1, REF, finding_of_refusal("turn 2 has the unknown role 'x'"))
    report = builder.report()
    assert (report.num_rows, report.num_refused, report.checks[0].check) == (2, 1, "unknown_role")


@given(lengths=st.lists(st.tuples(st.integers(2, 700), st.integers(1, 40)), min_size=1, max_size=20))
def test_cuts_equal_a_recount(lengths: list[tuple[int, int]]) -> None:
    builder = ReportBuilder(max_length=100)
    examples = [example_of(list(range(length)), min(start, length - 1)) for length, start in lengths]
    for row, example in enumerate(examples):
        builder.add(row, example, ())
    report = builder.report()
    kept = sum(max(0, min(100, one.num_tokens) - max(1, one.answer_start)) for one in examples)
    assert report.cuts[0].max_length == 100
    assert report.cuts[0].rows_cut == report.cuts[0].answers_cut == sum(one.num_tokens > 100 for one in examples)
    assert report.cuts[0].trained_share_kept == pytest.approx(kept / report.num_trained)
    assert sum(one.num_rows for one in report.histogram) == len(examples)


def test_a_report_is_json() -> None:
    report = report_of(Finding("unconfirmed", "the template mixes turns"))
    assert json.loads(report.model_dump_json())["not_applicable"] == {"the template mixes turns": 1}
    assert LabelReport.model_validate_json(report.model_dump_json()) == report
