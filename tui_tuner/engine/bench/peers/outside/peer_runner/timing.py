"""Checks and times a peer's steps in a bare loop: forward, backward, AdamW. Its own trainer is in `trainer`."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .adapters import fill, trained_parameters, write_gradients
from .device import limit_memory, now, read_memory, reset_peak, used_by_others
from .job import Answer, Job
from .rows import Batch, Rows, batches, check_batch, read_rows
from .systems import load
from .versions import versions

LEARNING_RATE = 1e-4


def measure(job: Job) -> Answer:
    """Load, check, time.

    Raises:
        ImportError: the peer is not there.
        ValueError: it trains something else than was asked for.
    """
    limit_memory(job.memory_limit)
    before = used_by_others(job.device)
    began = time.perf_counter()
    model = load(job)
    load_seconds = now(job.device) - began
    parameters = trained_parameters(model)
    fill(parameters, Path(job.adapter))
    rows = read_rows(Path(job.rows))
    check_loss = _check(model, parameters, rows, job) if job.check_rows else None
    answer = _timed(model, parameters, rows, job, before) if job.steps else Answer(status="done")
    return Answer(
        **(vars(answer) | {
            "check_loss": check_loss,
            "load_seconds": load_seconds,
            "num_trainable": sum(one.numel() for one in parameters.values()),
            "versions": versions(),
        })
    )  # fmt: skip


def bare_step(model: Any, optimizer: torch.optim.Optimizer, micro_batches: list[Batch]) -> Tensor:
    """One optimizer step; returns its mean loss, still on the device."""
    device = next(model.parameters()).device
    total = torch.zeros((), device=device)
    for batch in micro_batches:
        loss = loss_of(model, batch.to(device)) / len(micro_batches)
        loss.backward()
        total += loss.detach()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def loss_of(model: Any, batch: Batch) -> Any:
    """Mean over the trained tokens, as the peer's own forward computes it."""
    arguments: dict[str, Any] = {"input_ids": batch.input_ids_BT, "labels": batch.labels_BT, "use_cache": False}
    if batch.attention_mask_BT is not None:
        arguments["attention_mask"] = batch.attention_mask_BT
    if batch.position_ids_BT is not None:
        arguments["position_ids"] = batch.position_ids_BT
    with autocast(batch.input_ids_BT.device, model.dtype):
        return model(**arguments).loss


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[Any]:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def adamw(parameters: dict[str, torch.nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(list(parameters.values()), lr=LEARNING_RATE, fused=True)


def _check(model: Any, parameters: dict[str, torch.nn.Parameter], rows: Rows, job: Job) -> float:
    device = next(iter(parameters.values())).device
    loss = loss_of(model, check_batch(rows, job).to(device))
    loss.backward()
    if job.gradients:
        write_gradients(parameters, Path(job.gradients))
    for parameter in parameters.values():
        parameter.grad = None
    return float(loss.detach())


def _timed(model: Any, parameters: dict[str, torch.nn.Parameter], rows: Rows, job: Job, before: int) -> Answer:
    if job.way.startswith("trainer"):
        from .trainer import train_with_own_trainer

        return train_with_own_trainer(model, rows, job, before)
    optimizer, source = adamw(parameters), batches(rows, job)
    first_step_seconds = None
    for _ in range(job.warm_up):
        float(bare_step(model, optimizer, _next(source, job)))
        first_step_seconds = first_step_seconds or time.time() - job.started
    reset_peak(job.device)
    seconds, taken = [], []
    for _ in range(job.steps):
        micro_batches = _next(source, job)
        began = now(job.device)
        bare_step(model, optimizer, micro_batches)
        seconds.append(now(job.device) - began)
        taken.append(micro_batches)
    memory = read_memory(job.device, before)
    return Answer(
        status="done",
        seconds=tuple(seconds),
        tokens=tuple(sum(one.num_tokens for one in step) for step in taken),
        padded_tokens=tuple(sum(one.input_ids_BT.numel() for one in step) for step in taken),
        first_step_seconds=first_step_seconds,
        peak_bytes=memory.peak,
        reserved_bytes=memory.reserved,
        device_bytes=memory.device,
    )


def _next(source: Iterator[Batch], job: Job) -> list[Batch]:
    return [next(source) for _ in range(job.accumulation)]
