"""One run as `tuner show` draws it: the plan first, the result last, where the eye ends."""

import dataclasses
import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.audit import audit_block, moved_words
from tui_tuner.cli.views.blocks import block, columns, facts, joined, mark, outside, remarks, short_path
from tui_tuner.cli.views.curve import curve_text
from tui_tuner.cli.views.memory import probe_words
from tui_tuner.cli.views.plan import plan_view
from tui_tuner.cli.views.result import result_blocks
from tui_tuner.events import RunState
from tui_tuner.journal import RunSummary
from tui_tuner.plan import RunPlan

MAX_CURVE_WIDTH = 100


def run_view(summary: RunSummary, state: RunState) -> RenderableType:
    """`state` is the fold of the events of the run that `summary` is of, which may have been moved since."""
    return Group("", *_blocks(summary, dataclasses.replace(state, folder=summary.folder)))


def _blocks(summary: RunSummary, state: RunState) -> Iterator[RenderableType]:
    yield _head(summary, state)
    if state.plan:
        exact = {"data": state.data or state.plan.data, "schedule": state.schedule or state.plan.schedule}
        yield plan_view(state.plan.model_copy(update=exact))
    if state.audit:
        yield audit_block(state.audit)
    yield _curve_block(state)
    if state.checkpoints and state.plan:
        yield _checkpoints_block(state, state.plan)
    if state.warnings:
        yield _warnings_block(state)
    yield from result_blocks(state)
    if state.failed:
        yield _failure_block(state)


def _head(summary: RunSummary, state: RunState) -> RenderableType:
    rows: list[tuple[str, str | Text]] = [("folder", summary.folder)]
    if summary.started is not None and summary.updated is not None:
        spent = units.duration(summary.updated - summary.started)
        rows.append(("started", joined(units.clock(summary.started), f"last event after {spent}")))
    if state.last_step:
        total = f" of {units.count(summary.total_steps)}" if summary.total_steps else ""
        speed = units.speed(state.tokens_per_second) if state.tokens_per_second else ""
        memory = f"peak {units.memory(state.last_step.memory)}" if state.last_step.memory else ""
        rows.append(("trained", joined(f"{units.count(state.step)}{total} steps", speed, memory)))
    rows += _first_step_rows(state)
    if state.resumed:
        last = state.resumed[-1]
        times = "once" if len(state.resumed) == 1 else f"{len(state.resumed)} times"
        accepted = f"{len(last.accepted)} changes accepted" if last.accepted else ""
        rows.append(("resumed", joined(f"{times}, last from step {units.count(last.step)}", accepted)))
    headline = Text.assemble(outside(summary.id, "strong"), "  ", mark(summary.state), f" {summary.state}")
    if state.weights:
        rows.append(("weights", moved_words(state.weights)))
    return block("Run", headline, facts(rows))


def _first_step_rows(state: RunState) -> Iterator[tuple[str, str | Text]]:
    """How long it took to get going, and what was learned of the memory."""
    if state.first_step_seconds is not None and state.model is not None:
        after = f"{units.duration(state.first_step_seconds)} after loading began"
        yield "first step", joined(after, f"weights loaded in {units.duration(state.model.weights_seconds)}")
    if state.probe:
        yield "memory", probe_words(state.probe)
    if state.exceeded:
        last = state.exceeded[-1]
        yield "memory", joined(f"ran out at step {units.count(last.step)}", f"from there on {last.words}")


def _curve_block(state: RunState) -> RenderableType:
    if len(state.losses.points) < 2:
        return block("Loss", "fewer than two steps so far")
    first, last = state.losses.points[0], state.losses.points[-1]
    headline = joined(
        Text.assemble(("⣀ ", "learned"), f"training {units.loss(first[1])} → {units.loss(last[1])}"),
        Text.assemble(
            ("● ", "yours"), f"held out, best {units.loss(state.best_eval.loss)} at step {state.best_eval.step}"
        )
        if state.best_eval
        else None,
    )
    return block("Loss", headline, _Curve(state))


class _Curve:
    """Takes the width that it is given."""

    def __init__(self, state: RunState) -> None:
        self._state = state

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield curve_text(self._state, min(options.max_width, MAX_CURVE_WIDTH))


def _checkpoints_block(state: RunState, plan: RunPlan) -> RenderableType:
    """The best one and the last few, as they are kept on the disk."""
    best = max((one for one in state.checkpoints if one.is_best), key=lambda one: one.step, default=None)
    last = state.checkpoints[-plan.recipe.training.keep_checkpoints :]
    table = columns("step", "held-out loss", "", "", right=(0, 1))
    for one in (*([best] if best and best not in last else []), *last):
        is_best = Text.assemble(mark("good"), " best") if one == best else Text("")
        table.add_row(
            units.count(one.step),
            units.loss(one.loss),
            is_best,
            short_path(one.path),
        )
    return block("Saved", f"{len(state.checkpoints)} checkpoints, of which the best and the last are kept", table)


def _warnings_block(state: RunState) -> RenderableType:
    texts = [f"{warning.message} {warning.hint}".strip() for warning in state.warnings]
    return block("Warnings", f"{len(texts)} to read", remarks(texts))


def _failure_block(state: RunState) -> RenderableType:
    assert state.failed is not None
    headline = Text.assemble(mark("failed"), " ", outside(state.failed.message))
    hint: list[tuple[str, str | Text]] = [("try", state.failed.hint)] if state.failed.hint else []
    at = ("at", f"step {state.failed.step}, {units.clock(state.failed.time or time.time())}")
    return block("Failed", headline, facts([at, *hint]))
