"""What happened in a run, a line each, newest first: everything but the steps."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tui_tuner.events import AdapterAudited, RunState, WeightsChecked
from tui_tuner.units import duration, loss, memory

Tone = Literal["plain", "good", "warn", "bad", "quiet"]
_WORDS = {
    "pause": "paused",
    "resume": "goes on",
    "stop": "stop asked for",
    "abort": "abort asked for",
    "save": "save asked for",
    "evaluate": "evaluation asked for",
    "sample": "answers asked for",
}


@dataclass(frozen=True, slots=True)
class JournalLine:
    """One thing that happened; `text` is from outside in part."""

    time: float
    tone: Tone
    head: str
    text: str

    @property
    def clock(self) -> str:
        return time.strftime("%H:%M:%S", time.localtime(self.time))


def journal_lines(state: RunState) -> list[JournalLine]:
    """Newest first."""
    return sorted(_lines(state), key=lambda line: line.time, reverse=True)


def _lines(state: RunState) -> Iterator[JournalLine]:
    if state.started is not None:
        yield JournalLine(state.started, "quiet", "start", state.run_id)
    for eval_ in state.evals:
        accuracy = eval_.metrics.get("exact_match")
        also = f", exact match {accuracy:.1%}" if accuracy is not None else ""
        best = ", best so far" if eval_.is_best else ""
        tone: Tone = "good" if eval_.is_best else "plain"
        yield JournalLine(eval_.time, tone, f"eval {eval_.step:,}", f"loss {loss(eval_.loss)}{also}{best}")
    for sample in state.samples:
        yield JournalLine(sample.time, "quiet", f"answer {sample.step:,}", sample.text)
    for saved in state.checkpoints:
        tone = "good" if saved.is_best else "plain"
        yield JournalLine(saved.time, tone, f"saved {saved.step:,}", "best" if saved.is_best else "checkpoint")
    for control in state.controls:
        rate = f"learning rate x {control.value:g}" if control.value is not None else ""
        yield JournalLine(
            control.time, "plain", f"you {control.step:,}", rate or _WORDS.get(control.action, control.action)
        )
    for warning in state.warnings:
        yield JournalLine(warning.time, "warn", "warning", f"{warning.message} {warning.hint}".strip())
    yield from _memory(state)
    for resumed in state.resumed:
        yield JournalLine(
            resumed.time, "plain", f"resumed {resumed.step:,}", f"from {resumed.checkpoint or 'the start'}"
        )
    yield from _verdicts(state)


def _memory(state: RunState) -> Iterator[JournalLine]:
    """The probe before the first step, and steps that ran out."""
    if state.probe is not None:
        peaks = f"{memory(state.probe.measured)} at the peak, {memory(state.probe.expected)} expected"
        yield JournalLine(state.probe.time, "plain", "memory", peaks)
    for one in state.exceeded:
        yield JournalLine(one.time, "warn", f"memory {one.step:,}", f"ran out; from there on {one.words}")


def _verdicts(state: RunState) -> Iterator[JournalLine]:
    """What was checked, and how it ended."""
    if state.audit is not None:
        yield _audit_line(state.audit)
    if state.weights is not None:
        yield _weights_line(state.weights)
    if state.proof is not None:
        yield JournalLine(state.proof.time, "good" if state.proof.passed else "bad", "proof", state.proof.message)
    if state.finished is not None:
        how = f"{state.finished.outcome} at step {state.finished.step:,} after {duration(state.finished.seconds)}"
        yield JournalLine(state.finished.time, "good", "end", how)
    if state.failed is not None:
        yield JournalLine(state.failed.time, "bad", "failed", f"{state.failed.message} {state.failed.hint}".strip())


def _audit_line(audit: AdapterAudited) -> JournalLine:
    """Of a run that goes on from an adapter: whether all of it is there and trained."""
    if audit.problem:
        return JournalLine(audit.time, "bad", "continued", audit.problem)
    total = sum(group.trainable for group in audit.groups)
    losses = f"loss {loss(audit.loss_before)} without, {loss(audit.loss_after)} with it"
    return JournalLine(audit.time, "good", "continued", f"all {total:,} parameters train again; {losses}")


def _weights_line(checked: WeightsChecked) -> JournalLine:
    head = f"weights {checked.step:,}"
    if checked.unmoved or checked.changed:
        names = ", ".join((*checked.unmoved, *checked.changed))
        wrong = f"{len(checked.unmoved):,} trained did not move, {len(checked.changed):,} frozen changed: {names}"
        return JournalLine(checked.time, "bad", head, wrong)
    moved = f"all {checked.num_trained:,} trained tensors moved, none of {checked.num_frozen:,} frozen"
    return JournalLine(checked.time, "good", head, moved)
