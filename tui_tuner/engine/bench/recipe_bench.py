"""Measures the first steps of a recipe as a run takes them: same plan, labels, loading, layers, optimizer and loop.

What a run writes goes into a temporary folder that is gone afterwards; a bench leaves no run behind.
"""

import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from tui_tuner.controls import Controls
from tui_tuner.data.dataset import LabelledData
from tui_tuner.engine.batches import step_batches
from tui_tuner.engine.bench.limit import MachineLimit, Work, measure_limit
from tui_tuner.engine.bench.named_models import write_random_model
from tui_tuner.engine.bench.rates import tokens_per_second
from tui_tuner.engine.bench.recipes import for_measuring, recipe_of_shape, recipe_to_measure
from tui_tuner.engine.bench.report import BenchReport, LimitFigures
from tui_tuner.engine.bench.request import BenchRequest
from tui_tuner.engine.bench.shape_names import check_shapes
from tui_tuner.engine.building import build_loop, library_versions
from tui_tuner.engine.checkpoints.identity import device_name
from tui_tuner.engine.fitting.budget import memory_budget
from tui_tuner.engine.labelling import label_with_progress
from tui_tuner.engine.library_output import library_output_to
from tui_tuner.engine.loading import DTYPES
from tui_tuner.engine.loop import TrainingLoop
from tui_tuner.events import MemoryProbed, StepFinished
from tui_tuner.hardware import probe_hardware, read_gpu_meters
from tui_tuner.journal import RunJournal
from tui_tuner.plan import RunPlan
from tui_tuner.planning.fitting.fit import fitted
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan
from tui_tuner.recipe import Recipe, recipe_to_toml


def bench(request: BenchRequest) -> Iterator[str | BenchReport]:
    """Yields a line about what is done now, and the report at the end.

    Raises:
        TunerError: as a run of the recipe would; also where a step does not fit the memory.
    """
    with tempfile.TemporaryDirectory(prefix="tuner-bench-") as scratch, library_output_to(None):
        if request.shape is not None:
            check_shapes([request.shape])
            yield f"a random model of shape {request.shape}"
        recipe = _recipe(request, Path(scratch))
        began = time.perf_counter()
        yield "plan and labels"
        plan, data = _planned(for_measuring(recipe, Path(scratch), request.warm_up + request.steps + 1))
        planned = time.perf_counter()
        before = _device_in_use()
        yield "loading"
        with (
            RunJournal.create(Path(scratch), "bench", recipe_to_toml(plan.recipe), plan) as journal,
            memory_budget(plan),
        ):
            loop = build_loop(plan, data, Controls(), journal, None)
            clock = _Clock(began, planned, time.perf_counter())
            yield f"{request.warm_up + request.steps} steps"
            taken = _take_steps(loop, request.warm_up + request.steps)
        memory = _memory(loop, before)
        device, layers = loop.model.device, _layers(loop)
        num_trainable, loop_fit = loop.trained.num_parameters, loop.fit
        del loop
        yield "the machine's limit"
        timed = _Timed(fitted(plan, loop_fit), data, request, taken, clock, memory)
        yield _report(timed, layers, num_trainable, device)


@dataclass(frozen=True, slots=True)
class _Clock:
    began: float
    planned: float
    loaded: float


@dataclass(frozen=True, slots=True)
class _Memory:
    peak: int | None
    reserved: int | None
    device: int | None


@dataclass(frozen=True, slots=True)
class _Taken:
    """Steps, and when the first of them was done."""

    steps: tuple[StepFinished, ...]
    first_done: float
    probe: MemoryProbed | None


@dataclass(frozen=True, slots=True)
class _Timed:
    """Everything that was found of a recipe."""

    plan: RunPlan
    data: LabelledData
    request: BenchRequest
    taken: _Taken
    clock: _Clock
    memory: _Memory


def _recipe(request: BenchRequest, scratch: Path) -> Recipe:
    if request.shape is None:
        return recipe_to_measure(request.recipe, request.overrides)
    place = (request.folder or scratch).absolute() / f"model-{request.shape}-bfloat16"
    place.parent.mkdir(parents=True, exist_ok=True)
    write_random_model(place, request.shape)
    _empty_cache()
    return recipe_of_shape(request.shape, place, scratch / "rows.jsonl", request.overrides)


def _planned(recipe: Recipe) -> tuple[RunPlan, LabelledData]:
    plan = make_plan(recipe, probe_hardware())
    labelling = label_with_progress(plan)
    while True:
        try:
            next(labelling)
        except StopIteration as done:
            data: LabelledData = done.value
            return fetch_weights(refine_plan(plan, data.facts)), data


def _take_steps(loop: TrainingLoop, count: int) -> _Taken:
    """The loop's own, with the first batches read beside the device's work as in a run."""
    if loop.model.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    steps: list[StepFinished] = []
    first_done, probe = 0.0, None
    for event in loop.train():
        if isinstance(event, MemoryProbed):
            probe = event
        if isinstance(event, StepFinished):
            steps.append(event)
            first_done = first_done or time.perf_counter()
        if len(steps) == count:
            break
    return _Taken(tuple(steps), first_done, probe)


def _report(timed: _Timed, layers: str, num_trainable: int, device: torch.device) -> BenchReport:
    _empty_cache()
    plan, clock = timed.plan, timed.clock
    counted = timed.taken.steps[timed.request.warm_up :]
    seconds = tuple(one.seconds for one in counted)
    padded = _padded_tokens(timed)
    return BenchReport(
        plan=plan,
        probe=timed.taken.probe,
        device_name=device_name(device),
        versions=library_versions(),
        layers=layers,
        num_trainable=num_trainable,
        warm_up=timed.request.warm_up,
        seconds=seconds,
        tokens=tuple(one.tokens for one in counted),
        padded_tokens=padded,
        tokens_per_second=tokens_per_second(seconds, [one.tokens for one in counted]) or 0.0,
        padded_tokens_per_second=tokens_per_second(seconds, padded) or 0.0,
        milliseconds=1e3 * statistics.median(seconds),
        slowest_milliseconds=1e3 * max(seconds),
        fastest_milliseconds=1e3 * min(seconds),
        first_loss=timed.taken.steps[0].loss,
        last_loss=timed.taken.steps[-1].loss,
        first_grad_norm=timed.taken.steps[0].grad_norm,
        import_seconds=timed.request.seconds_before,
        plan_seconds=clock.planned - clock.began,
        load_seconds=clock.loaded - clock.planned,
        first_step_seconds=timed.request.seconds_before + timed.taken.first_done - clock.began,
        peak_bytes=timed.memory.peak,
        reserved_bytes=timed.memory.reserved,
        device_bytes=timed.memory.device,
        estimated_bytes=plan.memory.total,
        estimated_allocated_bytes=plan.memory.total - plan.memory.reserve,
        limit=_limit(timed, device),
    )


def _padded_tokens(timed: _Timed) -> tuple[int, ...]:
    """Which rows make a step is a pure function of the plan: they are laid out once more, without the device."""
    first, last = timed.request.warm_up, timed.request.warm_up + timed.request.steps
    batches = islice(step_batches(timed.data.train, timed.plan), first, last)
    return tuple(sum(one.input_ids_BT.numel() for one in batch.micro_batches) for batch in batches)


def _limit(timed: _Timed, device: torch.device) -> LimitFigures | None:
    """Of a mean step: as many equal documents in each micro-batch as there were."""
    plan, last = timed.plan, timed.request.warm_up + timed.request.steps
    batches = list(islice(step_batches(timed.data.train, plan), timed.request.warm_up, last))
    micro_batches = [one for batch in batches for one in batch.micro_batches]
    documents = sum(len(row) for one in micro_batches for row in one.documents)
    tokens = sum(one.num_tokens for one in micro_batches)
    work = Work(
        documents=max(1, round(documents / len(micro_batches))),
        length=max(1, round(tokens / documents)),
        trained_share=sum(one.num_trained for one in micro_batches) / tokens,
        has_fp8_base=str(plan.quantization) == "fp8",
    )
    limit = measure_limit(plan.model, work, device, DTYPES[plan.dtype])
    return None if limit is None else _figures(limit, tokens / len(batches))


def _figures(limit: MachineLimit, tokens_per_step: float) -> LimitFigures:
    milliseconds = 1e3 * tokens_per_step / limit.tokens
    return LimitFigures(
        tokens_per_second=limit.tokens_per_second,
        teraflops=limit.teraflops,
        milliseconds=milliseconds * limit.seconds,
        products_milliseconds=milliseconds * limit.products_seconds,
        attention_milliseconds=milliseconds * limit.attention_seconds,
        head_milliseconds=milliseconds * limit.head_seconds,
    )


def _memory(loop: TrainingLoop, before: int) -> _Memory:
    if loop.model.device.type != "cuda":
        # Kilobytes on Linux; the whole process, of which no allocator tells the part.
        return _Memory(None, None, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    used = _device_in_use()
    return _Memory(
        torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved(), used - before if used > before else None
    )


def _device_in_use() -> int:
    """Bytes of the first visible GPU that anyone uses; 0 where none is visible."""
    meters = read_gpu_meters()
    return 0 if meters is None else meters.used_bytes


def _layers(loop: TrainingLoop) -> str:
    return "layers of tuner" if loop.model.decoder is not None else f"the model's own layers: {loop.model.obstacle}"


def _empty_cache() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
