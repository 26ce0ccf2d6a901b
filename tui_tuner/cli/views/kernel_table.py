"""The kernels' self-test: what each computed beside float64, and how fast."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner.cli.views.blocks import columns, mark, outside, outside_line

if TYPE_CHECKING:
    from tui_tuner.kernels.checking import Check


def kernel_table_view(checks: "Sequence[Check]") -> RenderableType:
    table = columns("", "kernel", "type", "error", "allowed", "ms", "GB/s", right=(3, 4, 5, 6))
    for check in checks:
        state = mark("good" if check.passed else "bad")
        if check.failure:
            table.add_row(state, Text(check.name, style="strong"), "", outside_line(check.failure, "bad"))
            continue
        table.add_row(
            state, outside(check.name), check.dtype, f"{check.error:.1e}", f"{check.allowed:.1e}",
            _number(check.milliseconds, 3), _number(check.gigabytes_per_second, 0),
        )  # fmt: skip
    return Group(table, "", _verdict(checks))


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _verdict(checks: "Sequence[Check]") -> Text:
    num_failed = sum(not check.passed for check in checks)
    if num_failed:
        return Text.assemble(mark("bad"), f" {num_failed} of {len(checks)} checks failed on this GPU")
    return Text.assemble(mark("good"), f" all {len(checks)} checks passed on this GPU")
