from pathlib import Path

import numpy as np
import pytest

from tests.data.looking.material import audit, data_of, fit_to, look_at
from tui_tuner.data.audit.refusing import Verdict
from tui_tuner.data.lengths.settling import OverLength


def test_a_look_has_the_tokens_labels_and_places_of_the_audit(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    look = look_at(tmp_path, data)
    rows, _ = audit(tmp_path, data, None)
    assert look.num_rows == len(rows)
    for row in rows:
        tokens = look.tokens(row.index)
        assert tokens.ids.tolist() == row.input_ids.tolist()
        assert tokens.is_trained.tolist() == (row.labels >= 0).tolist()
        assert (look.ref(row.index), look.source(row.index)) == (row.ref, row.source)
        assert look.is_unusable(row.index) == (row.kind == "unusable")


def test_a_look_counts_what_the_report_counts(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    look = look_at(tmp_path, data)
    _, report = audit(tmp_path, data, None)
    assert look.findings.totals() == {one.check: one.num_rows for one in report.checks}
    assert {"empty_reply", "unreadable", "no_trained_token", "duplicate", "leak"} <= set(look.findings.totals())
    for one in report.checks:
        assert tuple(look.findings.rows_of(one.check)) == one.first_rows
    assert int(look.trained.sum()) == report.num_trained and look.curve.longest == report.longest


@pytest.mark.parametrize("over_length", ["keep_turns", "drop", "cut"])
def test_a_fit_is_what_the_audit_keeps_at_that_length(tmp_path: Path, over_length: OverLength) -> None:
    data = data_of(tmp_path, over_length=over_length, max_length=300)
    look = look_at(tmp_path, data)
    fit = fit_to(look, 300, over_length)
    rows, report = audit(tmp_path, data, 300)
    for row in rows:
        fitted = fit.of(row.index)
        if fitted is not None:
            kept = fitted.anew or look.tokens(row.index)
            assert kept.ids[: fitted.length].tolist() == row.input_ids.tolist()
            assert kept.is_trained[: fitted.length].tolist() == (row.labels >= 0).tolist()
    assert report.fit is not None and fit.rows_shortened + fit.rows_left_out > 0
    assert (fit.rows_left_out, fit.turns_dropped) == (report.fit.rows_left_out, report.fit.turns_dropped)
    assert fit.num_trained_kept(look) / look.trained.sum() == pytest.approx(report.fit.trained_share_kept)


@pytest.mark.parametrize("on_bad_row", ["refuse", "drop"])
def test_the_verdict_of_a_look_is_that_of_the_report(tmp_path: Path, on_bad_row: str) -> None:
    data = data_of(tmp_path, on_bad_row=on_bad_row)
    look = look_at(tmp_path, data)
    _, report = audit(tmp_path, data, None)
    verdict = Verdict(
        totals=look.findings.totals(),
        refused=look.refused(),
        num_labelled=look.num_labelled,
        left_out=None,
        on_disagreement="refuse",
        on_bad_row=data.on_bad_row,
    )
    assert tuple(verdict.reasons()) == report.reasons and report.refuses == (on_bad_row == "refuse")


def test_findings_come_back_whole(tmp_path: Path) -> None:
    data = data_of(tmp_path)
    look = look_at(tmp_path, data)
    rows, _ = audit(tmp_path, data, None)
    for row in rows:
        late = [one for one in look.findings.of(row.index) if one.check == "leak"]
        assert [one for one in look.findings.of(row.index) if one not in late] == [
            one for one in row.findings if one.check != "leak"
        ]


def test_rows_that_are_half_written_are_not_there_yet(tmp_path: Path) -> None:
    look = look_at(tmp_path, data_of(tmp_path))
    with (look.folder / "rows.bin").open("ab") as rows:
        rows.write(b"half of a record")
    again = type(look)(look.folder)
    assert again.num_rows == look.num_rows and np.array_equal(again.lengths, look.lengths)
