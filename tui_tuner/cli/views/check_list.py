"""What doctor found: one line each, and under it what to do."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner.cli.views.blocks import columns, mark, outside
from tui_tuner.diagnosis.check import Check


def check_list_view(checks: Sequence[Check]) -> RenderableType:
    table = columns("", "", "")
    for check in checks:
        table.add_row(mark(check.status), Text(check.name, style="strong"), outside(check.finding))
        if check.fix:
            table.add_row("", "", Text.assemble(("→ ", "yours"), outside(check.fix)))
    return Group(table, "", _verdict(checks))


def _verdict(checks: Sequence[Check]) -> Text:
    num_failed = sum(check.status == "fail" for check in checks)
    num_warnings = sum(check.status == "warning" for check in checks)
    if num_failed:
        return Text.assemble(mark("fail"), f" {num_failed} must be mended before a run can start")
    if num_warnings:
        return Text.assemble(mark("warn"), f" works, with {num_warnings} to look at")
    return Text.assemble(mark("good"), " everything a run needs is here")
