"""The list of runs: one line each, newest first."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.options import DEFAULT_RUNS_FOLDER
from tui_tuner.cli.views.blocks import columns, mark, outside, outside_line
from tui_tuner.cli.views.curve import sparkline
from tui_tuner.journal import RunSummary

MIN_WIDTH_FOR_CURVES = 100
ID_WIDTHS = (24, 40)


def run_list_view(runs: Sequence[RunSummary], folder: Path, width: int) -> RenderableType:
    """A narrow terminal gets short ids and no curves."""
    if not runs:
        return outside(f"No runs in {folder} yet. `tuner demo` makes one in about a minute.")
    is_wide = width >= MIN_WIDTH_FOR_CURVES
    table = columns("run", "state", "steps", "loss", "held out", "started", *["curve"][:is_wide], right=(2, 3, 4))
    for column in table.columns:
        column.no_wrap = True
    now = time.time()
    for run in runs:
        table.add_row(*_cells(run, now, is_wide=is_wide))
    return Group(table, *_remarks(runs, folder))


def _remarks(runs: Sequence[RunSummary], folder: Path) -> Iterator[RenderableType]:
    """Why runs failed, and which can go on."""
    for run in runs:
        if run.problem:
            yield outside_line(f"{run.id}: {run.problem}", "quiet")
        if run.can_resume:
            place = f"step {run.checkpoint_step}" if run.checkpoint_step is not None else "its beginning"
            elsewhere = "" if folder == DEFAULT_RUNS_FOLDER else f" --folder {folder}"
            yield outside_line(f"{run.id}: `tuner resume {run.id}{elsewhere}` goes on from {place}", "quiet")


def _cells(run: RunSummary, now: float, *, is_wide: bool) -> tuple[Text, ...]:
    total = f"/{run.total_steps}" if run.total_steps else ""
    curve = (Text(sparkline(run.losses), style="learned"),) if is_wide else ()
    return (
        outside_line(run.id, "strong", limit=ID_WIDTHS[is_wide]),
        Text.assemble(mark(run.state), f" {run.state}"),
        Text(f"{run.step}{total}"),
        Text(units.loss(run.last_loss)),
        Text(units.loss(run.best_loss)),
        Text(units.ago(run.started, now) if run.started is not None else "–", style="quiet"),
        *curve,
    )
