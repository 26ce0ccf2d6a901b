"""The rows in which one check found something, a line each."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.blocks import block, columns, joined, mark, outside, outside_line
from tui_tuner.data.audit.findings import CHECKS
from tui_tuner.data.audit.report import LabelReport
from tui_tuner.data.label_audit import AuditedRow

ANY = "any"


def check_rows_block(check: str, rows: Sequence[AuditedRow], report: LabelReport, command: str) -> RenderableType:
    """`rows` are the first ones of a check; `command` is the line that comes here again, without what was asked for."""
    info = CHECKS.get(check)
    num_rows = next((one.num_rows for one in report.checks if one.check == check), len(rows))
    title = Text.assemble(mark(info.severity), " ", (info.title, "strong")) if info else Text("any finding")
    table = columns("row", "where", "what", right=(0,))
    for row in rows:
        for finding in row.findings:
            if check in (ANY, finding.check):
                turn = f"turn {finding.message + 1}: " if finding.message is not None else ""
                name = f"{finding.check}: " if check == ANY else ""
                table.add_row(
                    str(row.index), outside_line(str(row.ref), "quiet"), outside(name + turn + finding.detail)
                )
    lines = [Text.assemble(("→ ", "yours"), info.help)] if info else []
    if rows:
        lines.append(Text.assemble(outside(f"{command} --row {rows[0].index}", "learned"), ("  opens one", "quiet")))
    if num_rows > len(rows):
        more = f"{units.count(num_rows - len(rows))} more: --limit {num_rows} lists them too"
        lines.append(Text(more, style="quiet"))
    return block(
        "Check",
        joined(
            title, f"the first {units.counted(num_rows, 'row')}" if info is None else units.counted(num_rows, "row")
        ),
        *([table] if rows else []),
        *lines,
    )
