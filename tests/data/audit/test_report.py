"""The report adds up, and refuses where training has to."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.audit.rows import example_of
from tests.data.material import REF
from tui_tuner.data.audit.findings import CHECKS, Finding, finding_of_refusal, finding_of_unreadable
from tui_tuner.data.audit.refusing import OnDisagreement
from tui_tuner.data.audit.report import LabelReport, ReportBuilder
from tui_tuner.data.lengths.cutting import cut_conversation
from tui_tuner.data.lengths.row_fitting import FittedRow

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
    builder = ReportBuilder()
    builder.settle(100, "cut")
    examples = [example_of(list(range(length)), min(start, length - 1)) for length, start in lengths]
    for row, example in enumerate(examples):
        builder.add(row, example, ())
        if example.num_tokens > 100:
            builder.add_fit(row, example, FittedRow(example=cut_conversation(example, 100), text="", findings=()))
    report = builder.report()
    for cut in report.cuts:
        limit = cut.max_length
        kept = sum(max(0, min(limit, one.num_tokens) - max(1, one.answer_start)) for one in examples)
        assert cut.rows_cut == cut.answers_cut == sum(one.num_tokens > limit for one in examples)
        assert cut.trained_share_kept == pytest.approx(kept / report.num_trained)
    assert report.fit is not None
    assert (report.cuts[0].max_length, report.fit.rows_shortened) == (100, report.cuts[0].rows_cut)
    assert report.fit.trained_share_kept == pytest.approx(report.cuts[0].trained_share_kept)
    assert sum(one.num_rows for one in report.histogram) == len(examples)


def test_a_length_that_is_settled_late_counts_the_same() -> None:
    early, late = ReportBuilder(), ReportBuilder()
    long = example_of(list(range(50)))
    left_out = FittedRow(example=None, text="", findings=(Finding("row_left_out", "so"),))
    early.settle(20, "drop")
    for row, example in enumerate((long, example_of([1, 2]))):
        early.add(row, example, ())
        late.add(row, example, ())
        if row == 0:
            early.add_fit(row, example, left_out)
    late.settle(20, "drop")
    late.add_fit(0, long, left_out)
    assert early.report() == late.report()
    fit = early.report().fit
    assert fit is not None
    assert (fit.rows_left_out, fit.rows_shortened) == (1, 0)
    assert fit.trained_share_kept == pytest.approx(1 / 50)


def test_a_row_that_is_too_long_everywhere_refuses() -> None:
    builder = ReportBuilder()
    builder.settle(20, "drop")
    builder.add(0, example_of(list(range(50))), ())
    builder.add_fit(0, example_of(list(range(50))), FittedRow(example=None, text="", findings=()))
    assert builder.report().reasons == ("No row fits into 20 tokens",)


def test_documents_are_never_cut() -> None:
    builder = ReportBuilder()
    builder.add(0, replace(example_of(list(range(900))), kind="document"), ())
    assert {cut.rows_cut for cut in builder.report().cuts} == {0}


def test_a_report_is_json() -> None:
    report = report_of(Finding("unconfirmed", "the template mixes turns"))
    assert json.loads(report.model_dump_json())["not_applicable"] == {"the template mixes turns": 1}
    assert LabelReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize(
    ("reason", "rendered", "read"),
    [
        ("the template drops or changes the reply in turn 2", "reply_dropped", "reply_dropped"),
        ("the reply in turn 2 cannot be located in the rendered text", "not_located", "unreadable"),
        ("JSON is cut off at column 9", "not_located", "unreadable"),
        ("turn 2 is an empty assistant reply", "empty_reply", "empty_reply"),
        ("no assistant turn (roles: user)", "no_trained_token", "no_trained_token"),
        ("the chat template fails: no", "template_error", "template_error"),
    ],
)
def test_a_refused_row_fails_the_check_of_where_it_failed(reason: str, rendered: str, read: str) -> None:
    assert (finding_of_refusal(reason).check, finding_of_unreadable(reason).check) == (rendered, read)
