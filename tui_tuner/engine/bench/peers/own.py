"""Our own steps for a job that peers get as well: the plan that a recipe of that setting makes, on the same tokens."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.packing import pack
from tui_tuner.data.rows import RowRef
from tui_tuner.engine.acceleration.accelerate import prepare
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.batches import MicroBatch, collate
from tui_tuner.engine.bench.peers.case_plan import plan_of_job
from tui_tuner.engine.bench.peers.outside.peer_runner.device import (
    limit_memory,
    now,
    read_memory,
    reset_peak,
    used_by_others,
)
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Job
from tui_tuner.engine.bench.peers.outside.peer_runner.versions import versions
from tui_tuner.engine.loading import load_model
from tui_tuner.engine.model import TrainingModel
from tui_tuner.engine.optimizers import Optimizer, build_optimizer, trainable_groups
from tui_tuner.errors import AdapterError
from tui_tuner.plan import RunPlan


@dataclass(frozen=True, slots=True)
class OwnSteps:
    """A model that is ready to be trained, with what its steps need."""

    plan: RunPlan
    model: TrainingModel
    trained: TrainedSet
    optimizer: Optimizer

    def step(self, micro_batches: tuple[MicroBatch, ...]) -> float:
        """What the training loop does; returns the mean loss of the trained tokens."""
        divisor = sum(one.num_trained for one in micro_batches)
        total = torch.zeros((), device=self.model.device)
        for batch in micro_batches:
            total += self.model.add_gradients(batch, divisor)
        self.optimizer.clip()
        loss = float(total)
        self.optimizer.step(1.0)
        return loss


def build_own(job: Job) -> OwnSteps:
    """Load the model as a run would, with the job's values in the adapters.

    Raises:
        TunerError: the job's setting cannot be planned or loaded.
    """
    plan = plan_of_job(job)
    torch.manual_seed(0)
    model = load_model(plan)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    _fill(trained, Path(job.adapter))
    groups = {group.name: number for number, group in enumerate(trainable_groups(trained, plan))}
    prepared = prepare(model, trained, plan, groups)
    model.module.train()
    return OwnSteps(plan, prepared.model, trained, build_optimizer(trained, plan, prepared.flat))


def measure_own(job: Job) -> Answer:
    """Load, check, time. Raises TunerError as `build_own` does."""
    limit_memory(job.memory_limit)
    before = used_by_others(job.device)
    began = time.perf_counter()
    own = build_own(job)
    load_seconds = now(job.device) - began
    rows = own_rows(Path(job.rows))
    # From here on, as the allocator does not see into a graph that is replayed later.
    reset_peak(job.device)
    check_loss = _check(own, rows, job) if job.check_rows else None
    answer = _timed(own, rows, job) if job.steps else Answer(status="done")
    memory = read_memory(job.device, before)
    return replace(
        answer,
        check_loss=check_loss,
        load_seconds=load_seconds,
        peak_bytes=memory.peak,
        reserved_bytes=memory.reserved,
        device_bytes=memory.device,
        num_trainable=own.trained.num_parameters,
        versions=versions(),
        note=_note(own),
    )


def own_rows(path: Path) -> list[LabelledExample]:
    """The rows of a job as the engine's examples."""
    with np.load(path) as arrays:
        borders = np.cumsum(arrays["lengths"])[:-1]
        pairs = zip(np.split(arrays["ids"], borders), np.split(arrays["trained"], borders), strict=True)
        return [
            LabelledExample(
                ref=RowRef(str(path), number),
                kind="document",
                input_ids=ids.astype(np.int32),
                labels=np.where(trained, ids, NOT_TRAINED).astype(np.int32),
                prompt_ids=ids[:1].astype(np.int32),
                answer_start=0,
            )
            for number, (ids, trained) in enumerate(pairs)
        ]


def own_steps_of(rows: list[LabelledExample], job: Job, plan: RunPlan) -> Iterator[tuple[MicroBatch, ...]]:
    """Steps without end: rows in their order, or packed."""
    each, micro = plan.schedule.gradient_accumulation, plan.schedule.micro_batch_size
    if job.way == "packed":
        sequences = list(pack(np.array([row.num_tokens for row in rows]), job.max_length))
    else:
        sequences = [(number,) for number in range(len(rows))]
    while len(sequences) < micro:
        sequences += sequences
    starts = range(0, len(sequences) - micro + 1, micro)
    micro_batches = cycle([collate(rows, sequences[start : start + micro]) for start in starts])
    while True:
        yield tuple(next(micro_batches) for _ in range(each))


def _check(own: OwnSteps, rows: list[LabelledExample], job: Job) -> float:
    """Where rows will be packed, they are packed here as well: each must count as if it stood alone."""
    numbers = tuple(range(job.check_rows))
    batch = collate(rows, [numbers] if job.way == "packed" else [(number,) for number in numbers])
    loss = float(own.model.add_gradients(batch, batch.num_trained))
    gradients = {one.name: one.parameter.grad for one in own.trained.tensors}
    if job.gradients:
        save_file({name: _copied(gradient) for name, gradient in gradients.items()}, job.gradients)
    for gradient in gradients.values():
        if gradient is not None:
            gradient.zero_()
    return loss


def _copied(gradient: torch.Tensor | None) -> torch.Tensor:
    if gradient is None:
        raise AdapterError("An adapter has no gradient.", "Please report this.")
    return gradient.float().to("cpu", copy=True).contiguous()


def _timed(own: OwnSteps, rows: list[LabelledExample], job: Job) -> Answer:
    source = own_steps_of(rows, job, own.plan)
    first_step_seconds = None
    for _ in range(job.warm_up):
        own.step(next(source))
        first_step_seconds = first_step_seconds or time.time() - job.started
    seconds, taken = [], []
    for _ in range(job.steps):
        micro_batches = next(source)
        began = now(job.device)
        own.step(micro_batches)
        seconds.append(now(job.device) - began)
        taken.append(micro_batches)
    return Answer(
        status="done",
        seconds=tuple(seconds),
        tokens=tuple(sum(one.num_tokens for one in step) for step in taken),
        padded_tokens=tuple(sum(one.input_ids_BT.numel() for one in step) for step in taken),
        first_step_seconds=first_step_seconds,
    )


@torch.no_grad()
def _fill(trained: TrainedSet, path: Path) -> None:
    values = load_file(path)
    if values.keys() != {one.name for one in trained.tensors}:
        raise AdapterError(f"{path} holds other adapters than the plan trains.", "Please report this.")
    for one in trained.tensors:
        one.parameter.copy_(values[one.name])


def _note(own: OwnSteps) -> str:
    """What the plan chose, in words."""
    layers = "the model's own layers" if own.model.decoder is None else "layers of tuner"
    counts = own.plan.layers
    kept = "" if counts is None else f" ({counts.keep} keep, {counts.recompute} recompute, {counts.offload} offload)"
    if own.plan.dequantized_layers and own.model.decoder is not None:
        kept += f", {own.plan.dequantized_layers} held in {own.plan.dtype} as well"
    schedule = own.plan.schedule
    return f"{layers}{kept}, micro-batch {schedule.micro_batch_size} x {schedule.gradient_accumulation}"
