"""What `tuner labels` prints: a report with a few rows, chosen rows, or JSON lines."""

import json

import numpy as np
from rich.text import Text

from tui_tuner.cli.failures import note
from tui_tuner.cli.label_check.choices import CheckedRows, Choice, ExampleRows, NextRow, NumberedRow
from tui_tuner.cli.label_check.inputs import LabelInputs
from tui_tuner.cli.label_check.walking import Walked, open_audit, progress_bar, walk
from tui_tuner.cli.terminal import console, print_line, show
from tui_tuner.cli.views.blocks import mark
from tui_tuner.cli.views.label_list import check_rows_block
from tui_tuner.cli.views.label_report import report_view, verdict_block
from tui_tuner.cli.views.label_row import legend_block, row_block, tokens_block
from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.label_audit import AuditedRow
from tui_tuner.data.token_texts import token_texts


def show_labels(inputs: LabelInputs, choice: Choice | None, *, with_tokens: bool) -> bool:
    """Draw the report with example rows, or the chosen rows alone; returns whether training would refuse.

    Raises:
        TunerError: the data cannot be used, or there is no such row.
    """
    walked = walk(inputs, choice or ExampleRows())
    report = walked.report
    if isinstance(choice, CheckedRows):
        show(check_rows_block(choice.check, walked.rows, report, inputs.command))
        return report.refuses
    if choice is None:
        show(report_view(report, walked.template, inputs.command, walked.max_length, walked.packed))
    is_in_full = isinstance(choice, NumberedRow | NextRow)
    _show_rows(walked, is_in_full=is_in_full, with_tokens=with_tokens)
    if choice is None:
        show(verdict_block(report, inputs.command))
    return report.refuses


def print_json_lines(inputs: LabelInputs, choice: Choice | None, *, with_rows: bool, with_report: bool) -> bool:
    """Print the rows, all where none are chosen, as they come, then the report; returns whether training would refuse.

    Why it would is said on stderr where the report is not printed. Raises as `show_labels`.
    """
    may_draw = not (with_rows and console().is_terminal)
    with progress_bar(may_draw=may_draw) as progress, open_audit(inputs, progress) as run:
        for row in choice.of(run.rows()) if choice else run.rows():
            if with_rows:
                print_line(row_json(row))
        report = run.report
    if with_report:
        print_line(json.dumps({"report": report.model_dump(mode="json")}))
    elif report.refuses:
        note(f"training would refuse: {'; '.join(report.reasons)}")
    return report.refuses


def row_json(row: AuditedRow) -> str:
    """One line of ASCII, so that no text of a row can steer a terminal. A row without labels has empty lists."""
    problems = [
        {
            "check": finding.check,
            "severity": CHECKS[finding.check].severity,
            "detail": finding.detail,
            "message": finding.message,
        }
        for finding in row.findings
    ]
    return json.dumps(
        {
            "row": row.index,
            "input_ids": row.input_ids.tolist(),
            "labels": row.labels.tolist(),
            "text": row.text,
            "problems": problems,
        }
    )


def _show_rows(walked: Walked, *, is_in_full: bool, with_tokens: bool) -> None:
    if not walked.rows:
        show(Text.assemble(mark("good"), " no row has such a finding"))
        return
    show(legend_block(len(walked.rows)))
    for row in walked.rows:
        texts = token_texts(np.concatenate((row.input_ids, row.cut_ids)), walked.tokenizer)
        show(row_block(row, texts, is_in_full=is_in_full))
        if with_tokens:
            show(tokens_block(row, texts[: len(row.input_ids)], console().width))
