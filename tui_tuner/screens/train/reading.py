"""What the curves say, in plain words, and what to do about it: a pure function of a run's state.

The zero point is the run's own base model: its loss on the same held-out rows, measured before the first step.
Bounds are rules of thumb from practice, said as such; each names the figures that it is drawn from.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tui_tuner.events import RunState
from tui_tuner.hosting.run_view import RunView

Mood = Literal["good", "wait", "look", "bad"]
MIN_STEPS = 8
HIGH_START = 7.0
"""Nats a token. A chat model on text that it can read starts at 1 to 4."""
OVERFIT_RISE = 0.02
STILL_FALLING = 0.01
WILD_GRAD = 100.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One sentence about the run, and the action that follows from it."""

    mood: Mood
    text: str
    action: str = ""


def read_run(view: RunView) -> Reading:
    """Of a run that died: that, and what is left of it. Else what its curves say."""
    if not view.is_lost:
        return read_curves(view.state)
    how = view.exit.text if view.exit is not None else "its process is gone, and left no word"
    return Reading("bad", f"It died at step {view.state.step:,}: {how}.", resume_words(view.state))


def resume_words(state: RunState) -> str:
    """What `r` does for a run that ended before its time."""
    if not state.checkpoints:
        return "r begins again: nothing was saved yet."
    saved = state.checkpoints[-1].step
    lost = state.step - saved
    again = f"; {lost:,} {'step is' if lost == 1 else 'steps are'} done again" if lost > 0 else ""
    return f"r goes on from the checkpoint at step {saved:,}{again}."


def read_curves(state: RunState) -> Reading:
    """The most important thing that can be said now."""
    rules: tuple[Callable[[RunState], Reading | None], ...] = (
        _ended,
        _not_continued,
        _wrong_weights,
        _no_gradient,
        _too_high,
        _wild,
        _overfits,
        _no_better_than_base,
        _memorises,
        _falls,
    )
    for rule in rules:
        found = rule(state)
        if found is not None:
            return found
    if not state.losses.points:
        return Reading("wait", "No step yet: what it is at stands above.")
    return Reading("wait", "Too early to say: the first steps warm up.")


def _ended(state: RunState) -> Reading | None:
    if state.failed is not None:
        return Reading("bad", state.failed.message, state.failed.hint)
    if state.finished is None:
        return None
    if state.proof is not None and not state.proof.passed:
        return Reading("bad", "The proof failed: the saved adapter is not what was trained.", "Do not use it.")
    base, best = _base_loss(state), state.best_eval
    if base is not None and best is not None and best.loss < base:
        gain = f"Held-out loss fell from {base:.3f} (base) to {best.loss:.3f} at step {best.step:,}."
        return Reading("good", gain, "7 compares base and tuned on your own prompts.")
    return Reading("good", "The run is finished and its adapter is proved.", "7 opens the chat.")


def _not_continued(state: RunState) -> Reading | None:
    if state.audit is None or not state.audit.problem:
        return None
    return Reading("bad", state.audit.problem, "? on the journal has the whole audit.")


def _wrong_weights(state: RunState) -> Reading | None:
    checked = state.weights
    if checked is None or not (checked.unmoved or checked.changed):
        return None
    parts = [f"{len(checked.unmoved):,} trained tensors did not move"] if checked.unmoved else []
    parts += [f"{len(checked.changed):,} frozen tensors changed"] if checked.changed else []
    return Reading("bad", f"{' and '.join(parts)} by step {checked.step:,}.", "? on the journal names them; x stops.")


def _no_gradient(state: RunState) -> Reading | None:
    last = state.last_step
    if last is None or last.grad_norm > 0.0 or last.learning_rate == 0.0:
        return None
    return Reading(
        "bad", "The gradient is exactly 0: nothing is being learned.", "x stop; look at the labels on station 4."
    )


def _too_high(state: RunState) -> Reading | None:
    first = state.losses.points[0][1] if state.losses.points else None
    if first is None or first < HIGH_START or state.step > 5 * MIN_STEPS:
        return None
    if state.step >= MIN_STEPS and state.losses.points[-1][1] < HIGH_START:
        return None
    text = f"The loss started at {first:.2f}; a model that can read its text starts at 1 to 4."
    return Reading("look", text, "If it does not fall at once: wrong template or tokenizer; see station 4.")


def _wild(state: RunState) -> Reading | None:
    recent = [one.grad_norm for one in state.recent_steps]
    if state.step < MIN_STEPS or not recent or sorted(recent)[len(recent) // 2] < WILD_GRAD:
        return None
    return Reading("look", f"The gradient norm stays above {WILD_GRAD:.0f}: steps are too large.", "- halves the rate.")


def _overfits(state: RunState) -> Reading | None:
    best, last = state.best_eval, state.evals[-1] if state.evals else None
    if best is None or last is None or last.step == best.step or last.loss < best.loss * (1 + OVERFIT_RISE):
        return None
    rise = 100 * (last.loss / best.loss - 1)
    text = f"Held-out loss is {rise:.0f} % above its best ({best.loss:.3f} at step {best.step:,}): it learns by heart."
    return Reading("look", text, "x stop and save; the best checkpoint is kept.")


def _no_better_than_base(state: RunState) -> Reading | None:
    base, last = _base_loss(state), state.evals[-1] if state.evals else None
    if base is None or last is None or last.step == 0 or last.loss < base or state.step < 3 * MIN_STEPS:
        return None
    text = f"After {last.step:,} steps the held-out loss ({last.loss:.3f}) is not below the base's ({base:.3f})."
    return Reading("look", text, "Are held-out rows of the same kind? Else - halves the rate.")


def _memorises(state: RunState) -> Reading | None:
    """Both losses of the same moment: the look at the base, or one long past, says nothing of what is learned now."""
    look = state.evals[-1] if state.evals else None
    if look is None or look.step == 0 or look.loss < 0.2 or _epoch_of(state, look.step) < 1.2:
        return None
    trained = _trained_loss_at(state, look.step)
    if trained is None or trained > 0.5 * look.loss:
        return None
    text = f"Training loss ({trained:.2f}) is far below held-out loss ({look.loss:.2f}) at step {look.step:,}."
    return Reading("look", text, "More epochs will not help; more rows or a lower rank might.")


def _falls(state: RunState) -> Reading | None:
    evals = state.evals
    if len(evals) >= 2:
        change = evals[-1].loss - evals[-2].loss
        if change < -STILL_FALLING * abs(evals[-2].loss):
            text = f"Held-out loss is falling: {evals[-2].loss:.3f} to {evals[-1].loss:.3f} since the last look."
            return Reading("good", text, "Let it run.")
        return Reading("good", f"Held-out loss is level at {evals[-1].loss:.3f}.", "It may be close to done.")
    points = state.losses.points
    if state.step < MIN_STEPS or len(points) < MIN_STEPS:
        return None
    quarter = len(points) // 4 or 1
    early = sum(loss for _, loss in points[:quarter]) / quarter
    late = sum(loss for _, loss in points[-quarter:]) / quarter
    if math.isfinite(early) and late < early:
        return Reading("good", f"Training loss is falling: {early:.2f} to {late:.2f}.", "Let it run.")
    return Reading("wait", "Training loss does not fall yet.", "Wait for the first evaluation.")


def _base_loss(state: RunState) -> float | None:
    return next((one.loss for one in state.evals if one.step == 0), None)


def _epoch_of(state: RunState, step: int) -> float:
    last = state.last_step
    return last.epoch * step / last.step if last is not None and last.step else 0.0


def _trained_loss_at(state: RunState, step: int) -> float | None:
    """The mean of the last points of the curve up to a step."""
    points = [loss for x, loss in state.losses.points if x <= step and math.isfinite(loss)][-MIN_STEPS:]
    return sum(points) / len(points) if points else None
