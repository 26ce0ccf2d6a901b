"""One line for each event that stays on the screen while a run goes on; the same on a terminal and in a pipe."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from tui_tuner import units
from tui_tuner.cli.views.audit import audit_block, moved_words
from tui_tuner.cli.views.blocks import joined, mark, outside, outside_line, short_path
from tui_tuner.cli.views.labels import labels_block
from tui_tuner.cli.views.memory import probe_words
from tui_tuner.cli.views.plan import data_block, plan_view
from tui_tuner.events import (
    AdapterAudited,
    CheckpointSaved,
    ControlApplied,
    DataReady,
    EvalFinished,
    MemoryExceeded,
    MemoryProbed,
    ModelReady,
    Phase,
    RowLabelled,
    RunResumed,
    RunStarted,
    RunState,
    StepFinished,
    TrainEvent,
    WarningRaised,
    WeightsChecked,
)

KIND_WIDTH = 10
STEP_WIDTH = 12
CONTROL_NAMES = {"learning_rate": "rate", "evaluate": "evaluating"}


def lines_of(state: RunState, event: TrainEvent) -> Iterator[RenderableType]:  # noqa: C901, PLR0912 - a case for each kind
    """What an event adds to the record of a run; many events add nothing. `state` includes the event."""
    match event:
        case RunStarted():
            yield plan_view(event.plan)
        case RunResumed():
            yield _line("resumed", f"step {event.step}", short_path(event.checkpoint) or "from the beginning")
            for one in event.accepted:
                change = f"{one.what}: {one.before}, now {one.now}"
                yield _line("accepted", "", outside_line(change), "warn")
        case DataReady():
            yield ""
            yield data_block(event.data, event.padding_share)
            yield from _schedule_change(state, event)
        case RowLabelled():
            yield labels_block(event.row, event.pieces, event.num_tokens, event.num_trained)
            yield ""
        case ModelReady():
            yield _line("model", "", f"{units.count(event.num_trainable)} of {units.count(event.num_total)} trained")
            yield from (_line("", "", swap) for swap in event.swaps)
            loaded, ready = units.duration(event.weights_seconds), units.duration(event.seconds)
            yield _line("", "", f"weights loaded in {loaded}, ready in {ready}")
        case AdapterAudited():
            yield ""
            yield audit_block(event)
        case WeightsChecked():
            state_of = "bad" if event.unmoved or event.changed else "good"
            yield _line("weights", f"step {event.step}", moved_words(event), state_of)
        case MemoryProbed():
            yield _line("memory", "probe", probe_words(event))
        case MemoryExceeded():
            place = f"step {event.step}" if event.step else "probe"
            yield _line("memory", place, f"ran out; from here on {event.words}", "warn")
        case EvalFinished():
            yield _line("held out", f"step {event.step}", _evaluation(event))
        case CheckpointSaved():
            yield _line("saved", f"step {event.step}", short_path(event.path))
        case ControlApplied():
            yield _line(CONTROL_NAMES.get(event.action, event.action), f"step {event.step}", _factor(event))
        case WarningRaised():
            hint = f" Try: {event.hint}" if event.hint else ""
            yield _line("warning", "", event.message + hint, "warn")


def step_line(state: RunState, event: StepFinished) -> RenderableType:
    """For a pipe; a terminal shows the last step in its moving line."""
    total = f"/{state.total_steps}" if state.total_steps else ""
    return _line("training", f"step {event.step}{total}", joined(*_step_figures(state, event)))


def _step_figures(state: RunState, event: StepFinished) -> list[str]:
    figures = [f"loss {units.loss(event.loss)}", f"lr {units.rate(event.learning_rate)}"]
    if state.recent_tokens_per_second:
        figures.append(units.speed(state.recent_tokens_per_second))
    return [*figures, f"{units.duration(state.seconds_left)} left"] if state.seconds_left else figures


def phase_line(phase: Phase, seconds: float) -> RenderableType:
    """A phase that is over."""
    return _line(phase.value, "", Text(units.duration(seconds), style="quiet"), "good")


def phase_start_line(phase: Phase, detail: str) -> RenderableType:
    return _line(phase.value, "", outside_line(detail, "quiet"))


def _line(kind: str, place: str, values: str | Text, state: str = "") -> Text:
    """A gutter for a glyph, then what, when, and the figures, each in its column."""
    return Text.assemble(
        mark(state) if state else " ",
        f" {kind:<{KIND_WIDTH}} ",
        f"{place:<{STEP_WIDTH}} " if place else "",
        values if isinstance(values, Text) else outside(values),
    )


def _evaluation(event: EvalFinished) -> Text:
    exact = event.metrics.get("exact_match")
    accuracy = event.metrics.get("token_accuracy")
    return joined(
        f"loss {units.loss(event.loss)}",
        f"accuracy {units.percent(accuracy)}" if accuracy is not None else "",
        f"exact {units.percent(exact)}" if exact is not None else "",
        Text.assemble(mark("good"), " best") if event.is_best else None,
    )


def _factor(event: ControlApplied) -> Text:
    return Text(f"× {event.value:g}") if event.value is not None else Text("")


def _schedule_change(state: RunState, event: DataReady) -> Iterator[RenderableType]:
    planned = state.plan.schedule.total_steps if state.plan else event.schedule.total_steps
    if planned != event.schedule.total_steps:
        change = f"{units.count(event.schedule.total_steps)} steps, where {units.count(planned)} were planned"
        yield _line("schedule", "", change)
