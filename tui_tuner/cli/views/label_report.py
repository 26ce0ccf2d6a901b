"""The labels of a whole data set in numbers. Each number says which command opens its rows."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.label_check.packed import PackedRows
from tui_tuner.cli.views.blocks import bar, block, columns, facts, joined, mark, outside
from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.audit.length_counts import CutCount, FitCount
from tui_tuner.data.audit.report import CheckCount, LabelReport

BAR_WIDTH = 24
SHOWN_ROWS = 6
SEVERITIES = ("blocking", "warning", "note")


def report_view(
    report: LabelReport, template: str, command: str, max_length: int | None = None, packed: PackedRows | None = None
) -> RenderableType:
    """`template` says which chat template renders, `command` is the line that comes here again.

    `max_length` may be known where the report has none, because no row is longer; `packed` is None where rows are not.
    """
    return Group(
        "",
        _labels_block(report, template),
        _lengths_block(report),
        _cuts_block(report, command, max_length),
        *([] if packed is None else [_packing_block(packed)]),
        _checks_block(report, command),
    )


def verdict_block(report: LabelReport, command: str) -> RenderableType:
    if report.refuses:
        reasons = Table.grid(Column(overflow="fold"))
        for reason in report.reasons:
            reasons.add_row(outside(reason))
        headline = Text.assemble(mark("bad"), (" training would refuse this data", "strong"))
        return block("Verdict", headline, reasons, _open(f"{command} --worst", "shows the gravest rows"))
    remarks = [*_remarks(report)]
    if remarks:
        headline = Text.assemble(mark("warn"), " training would start; ", " and ".join(remarks))
        return block("Verdict", headline, _open(f"{command} --worst", "shows the gravest rows"))
    return block("Verdict", Text.assemble(mark("good"), " training would start; nothing to look at"))


def _remarks(report: LabelReport) -> Iterator[str]:
    """What a person should look at although training would start."""
    num_warnings = sum(check.num_rows > 0 and check.severity != "note" for check in report.checks)
    if num_warnings:
        yield f"{units.counted(num_warnings, 'check')} found something to look at"
    current = next((cut for cut in report.cuts if cut.max_length == report.max_length), None)
    if current is not None and current.rows_cut:
        rows = units.counted(current.rows_cut, "row")
        yield f"{rows} of {units.count(report.num_rows)} do not fit into {units.count(current.max_length)} tokens"


def _labels_block(report: LabelReport, template: str) -> RenderableType:
    headline = joined(
        units.counted(report.num_rows, "row"),
        f"{units.count(report.num_tokens)} tokens",
        f"{units.percent(report.trained_share)} of them trained",
    )
    rows: list[tuple[str, str | Text]] = [
        ("template", template),
        ("trained", f"{units.count(report.num_trained)} tokens"),
        ("methods", _agreement(report)),
        *(("" if place else "uncompared", _reason(*one)) for place, one in enumerate(report.not_applicable.items())),
    ]
    if report.num_refused:
        unlabelled = f" {units.counted(report.num_refused, 'row')} cannot be labelled: see the checks"
        rows.append(("unlabelled", Text.assemble(mark("bad"), unlabelled)))
    return block("Labels", headline, facts(rows))


def _agreement(report: LabelReport) -> Text:
    if not report.num_compared:
        words = "apply together to no row" if report.not_applicable else "none needed: no row has turns"
        return Text(words, style="quiet")
    agree = f" agree on {units.count(report.num_agreeing)} of {units.counted(report.num_compared, 'row')}"
    return Text.assemble(mark("good" if report.num_agreeing == report.num_compared else "bad"), agree)


def _reason(reason: str, num_rows: int) -> Text:
    return joined(units.counted(num_rows, "row"), outside(reason))


def _lengths_block(report: LabelReport) -> RenderableType:
    headline = joined(
        f"half of the rows up to {units.count(report.length_p50)} tokens",
        f"90 % up to {units.count(report.length_p90)}",
        f"99 % up to {units.count(report.length_p99)}",
        f"longest {units.count(report.longest)}",
    )
    table = columns("tokens", "rows", "", right=(0, 1))
    most = max((one.num_rows for one in report.histogram), default=0)
    for one in report.histogram:
        tokens = f"{units.count(one.low)} – {units.count(one.high)}"
        table.add_row(tokens, units.count(one.num_rows), bar(one.num_rows / max(1, most), BAR_WIDTH))
    return block("Lengths", headline, *([table] if report.histogram else []))


def _cuts_block(report: LabelReport, command: str, max_length: int | None) -> RenderableType:
    is_any_cut = any(cut.rows_cut for cut in report.cuts)
    shown = [cut for cut in report.cuts if is_any_cut and (cut.rows_cut or cut.max_length == report.max_length)]
    current = next((cut for cut in shown if cut.max_length == report.max_length), None)
    table = columns("max length", "rows cut", "answers cut", "left without labels", "labels kept", right=range(5))
    for cut in sorted(shown, key=lambda one: one.max_length):
        table.add_row(*_cut_cells(cut, is_current=cut is current))
    opens = _open(f"{command} --max-length N --check row_cut", "lists the rows")
    if current is not None:
        opens = _open(f"{command} --check row_cut", "lists the rows; with --max-length N, those of another length")
    caption = Text("if rows were cut off at a length:", style="quiet")
    lines: list[RenderableType] = [caption, table, opens] if shown else []
    if report.fit is not None and is_any_cut:
        lines = [*_policy_lines(report.fit, command), *lines]
    return block("Cut", _cut_headline(report, current, max_length), *lines)


def _packing_block(packed: PackedRows) -> RenderableType:
    rows = f"{units.counted(packed.num_rows, 'row')} in {units.counted(packed.num_sequences, 'sequence')}"
    headline = joined(
        f"{rows} of {units.count(packed.max_length)} tokens", f"{units.percent(packed.padding_share)} padding"
    )
    remark = "no label is predicted across rows: each run checks that in its batches before it starts"
    return block("Packing", headline, Text(remark, style="quiet"))


def _policy_lines(fit: FitCount, command: str) -> Iterator[Text]:
    """What `data.over_length` makes of the longer rows."""
    shortened = units.counted(fit.rows_shortened, "row")
    outcomes = {
        "keep_turns": f"{shortened} without their oldest turns ({units.count(fit.turns_dropped)} turns)",
        "cut": f"{shortened} without their ends",
        "drop": "",
    }
    yield joined(
        Text(f'data.over_length = "{fit.over_length}"', style="strong"),
        outcomes[fit.over_length] if fit.rows_shortened else "",
        f"{units.counted(fit.answers_cut, 'answer')} broken off" if fit.answers_cut else "",
        f"{units.counted(fit.rows_left_out, 'row')} left out" if fit.rows_left_out else "",
        f"{units.percent(fit.trained_share_kept)} of the trained tokens kept",
    )
    if fit.rows_left_out:
        yield _open(f"{command} --check row_left_out", "lists the rows that are left out")


def _cut_headline(report: LabelReport, current: CutCount | None, max_length: int | None) -> Text:
    is_any_cut = any(cut.rows_cut for cut in report.cuts)
    if max_length is not None and (current is None or not current.rows_cut):
        how = "" if report.longest <= max_length else ", or is a document and split"
        return Text.assemble(mark("good"), f" every row fits into {units.count(max_length)} tokens{how}")
    if current is None:
        if not is_any_cut:
            return Text(f"no max length is given, and no row has more than {units.count(report.longest)} tokens")
        return Text("no max length is given; this is what one would take away")
    share = units.percent(current.rows_cut / max(1, report.num_rows))
    rows = f" {units.counted(current.rows_cut, 'row')} ({share}) longer than {units.count(current.max_length)} tokens"
    return Text.assemble(mark("warn"), rows)


def _cut_cells(cut: CutCount, *, is_current: bool) -> tuple[Text, ...]:
    style = "strong" if is_current else ""
    cells = (
        f"{'now ' if is_current else ''}{units.count(cut.max_length)}",
        units.count(cut.rows_cut),
        units.count(cut.answers_cut),
        units.count(cut.rows_without_labels),
        units.percent(cut.trained_share_kept),
    )
    return tuple(Text(cell, style=style) for cell in cells)


def _checks_block(report: LabelReport, command: str) -> RenderableType:
    """Gravest checks first."""
    found = sorted((one for one in report.checks if one.num_rows), key=lambda one: SEVERITIES.index(one.severity))
    clean = [info.title for info in CHECKS.values() if info.name not in {check.check for check in found}]
    counts = {severity: sum(check.severity == severity for check in found) for severity in SEVERITIES}
    words = [_counted_severity(severity, count) for severity, count in counts.items() if count]
    table = Table.grid(Column(width=1), Column(overflow="fold"), padding=(0, 1, 0, 0))
    for check in found:
        table.add_row(mark(check.severity), joined(Text(check.title, style="strong"), _rows_of(check)))
        table.add_row("", outside(f"{check.first_refs[0]}: {check.first_detail}", "quiet"))
        table.add_row("", Text.assemble(("→ ", "yours"), check.help))
        table.add_row("", Text(f"--check {check.check}", style="learned"))
    if clean:
        table.add_row(mark("good"), Text("found nothing: " + ", ".join(clean), style="quiet"))
    opens = [_open(f"{command} --check NAME", "lists the rows of one")] if found else []
    return block("Checks", joined(*words, f"{len(clean)} found nothing"), table, *opens)


def _counted_severity(severity: str, count: int) -> str:
    return f"{count} blocking" if severity == "blocking" else units.counted(count, severity)


def _rows_of(check: CheckCount) -> str:
    first: Sequence[str] = [str(row) for row in check.first_rows[:SHOWN_ROWS]]
    more = ", …" if check.num_rows > len(first) else ""
    return f"{units.counted(check.num_rows, 'row')}: {', '.join(first)}{more}"


def _open(command: str, what: str) -> Text:
    return Text.assemble(outside(command, "learned"), (f"  {what}", "quiet"))
