"""Measures the largest micro-batch before the first step, and lets layers keep less, or more, than was planned.

Nothing of it remains but that choice: gradients are dropped, random generators go back, the optimizer is not asked.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from tui_tuner.engine.batches import BEGINNING, StepBatch, collate, epoch_sequences
from tui_tuner.engine.fitting.cutting import cut_step, next_fit
from tui_tuner.engine.fitting.failing import clean_up, generators, is_out_of_memory, set_generators
from tui_tuner.events import MemoryExceeded, MemoryProbed, TrainEvent
from tui_tuner.plan import MemoryFit, RunPlan
from tui_tuner.planning.fitting.fit import expected_peak, fit_words, refit, way_of_fit
from tui_tuner.planning.own_layers.ways import way_words

if TYPE_CHECKING:
    from tui_tuner.data.store.example_store import StoredExamples
    from tui_tuner.engine.loop import TrainingLoop

MOST_PROBES = 2
"""Of those that end well: the planned way, and the one that is chosen after it."""


class Meter(Protocol):
    """Tells how much memory was in use at most."""

    def reset(self) -> None:
        """Begin to look."""

    def peak(self) -> int:
        """Bytes, since then; waits for the device."""


class DeviceMeter:
    """Asks the allocator of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def reset(self) -> None:
        torch.cuda.synchronize(self._device)
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int:
        torch.cuda.synchronize(self._device)
        return torch.cuda.max_memory_allocated(self._device)


def probe_memory(loop: "TrainingLoop", meter: Meter | None = None) -> Iterator[TrainEvent]:
    """At most two passes; does nothing on a processor, where memory is not the device's own.

    Raises:
        MachineError: the smallest micro-batch does not fit.
    """
    device = loop.model.device
    meter = meter or (DeviceMeter(device) if device.type == "cuda" else None)
    if meter is None:
        return
    before = generators(device)
    was_training = loop.model.module.training
    loop.model.module.train()
    for number in range(MOST_PROBES):
        largest = largest_micro_batch(loop.data.train, loop.plan, loop.fit)
        while (probed := _measured(loop, largest, meter)) is None:
            yield _with_less(loop, largest)
        fit = _refit(loop, probed, is_last=number == MOST_PROBES - 1)
        is_kept = fit == loop.fit
        yield probed if is_kept else probed.model_copy(update={"fit": fit})
        if is_kept:
            break
        loop.go_on_with(fit)
    loop.model.module.train(was_training)
    set_generators(before, device)
    meter.reset()


def largest_micro_batch(examples: "StoredExamples", plan: RunPlan, fit: MemoryFit) -> StepBatch:
    """The longest sequences of the first epoch together: no micro-batch of any epoch has more tokens."""
    sequences = epoch_sequences(examples, plan, 0)
    rows = plan.schedule.micro_batch_size if fit.rows is None else fit.rows
    longest = np.argsort(-sequences.totals(examples.lengths), kind="stable")[:rows]
    return StepBatch((collate(examples, [sequences[int(place)] for place in longest]),), 0.0, BEGINNING)


def _measured(loop: "TrainingLoop", largest: StepBatch, meter: Meter) -> MemoryProbed | None:
    """None where it ran out of memory."""
    began = time.perf_counter()
    batch = max(cut_step(largest, loop.fit).micro_batches, key=lambda one: one.num_tokens)
    try:
        loop.optimizer.drop_gradients()
        meter.reset()
        # Not as a recording, whose inside the allocator does not see.
        loop.model.by_launches().add_gradients(batch, max(1, batch.num_trained))
        peak = meter.peak()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        peak = None
    if peak is None:
        clean_up(loop.model, loop.optimizer)
        return None
    loop.optimizer.drop_gradients()
    plan, tokens = loop.plan, loop.model.num_tokens(batch)
    estimate = expected_peak(plan, loop.fit, len(batch.documents), tokens)
    states = 0 if loop.optimizer.state().tensors else plan.memory.optimizer  # Others make theirs in the first step.
    return MemoryProbed(
        tokens=tokens,
        rows=len(batch.documents),
        expected=estimate.allocated,
        measured=peak + states,
        reserve=estimate.reserve,
        available=plan.memory.available,
        layers=way_words(way_of_fit(plan, loop.fit)),
        seconds=time.perf_counter() - began,
    )


def _refit(loop: "TrainingLoop", probed: MemoryProbed, *, is_last: bool) -> MemoryFit:
    """What to go on with; the last time only if less is needed."""
    is_too_much = probed.available is not None and probed.measured + probed.reserve > probed.available
    if is_last and not is_too_much:
        return loop.fit
    above = probed.measured - probed.expected
    return refit(loop.plan, loop.fit, probed.rows, probed.tokens, above)


def _with_less(loop: "TrainingLoop", largest: StepBatch) -> MemoryExceeded:
    fit = next_fit(loop.plan, loop.fit, largest)
    if fit is None:
        raise loop.out_of_memory()
    loop.go_on_with(fit)
    return MemoryExceeded(step=0, fit=fit, words=fit_words(loop.plan, fit))
