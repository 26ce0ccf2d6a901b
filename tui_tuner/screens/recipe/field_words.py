"""What a field means for the run that is planned: the person's own figures, never a general remark."""

from collections.abc import Callable, Mapping
from math import ceil

from tui_tuner.plan import RunPlan
from tui_tuner.units import counted, file_size, memory, rate, short_count


def field_words(name: str, plan: RunPlan | None) -> str:
    """One sentence or two for a field by its dotted path; empty where there is nothing to say of it."""
    writer = _WRITERS.get(name)
    return writer(plan) if writer is not None and plan is not None else ""


def _batch(plan: RunPlan) -> str:
    schedule = plan.schedule
    sequences = schedule.micro_batch_size * schedule.gradient_accumulation
    tokens = f", about {schedule.tokens_per_step:,} tokens" if schedule.tokens_per_step else ""
    per_epoch = f" An epoch has {counted(schedule.steps_per_epoch, 'step')}." if schedule.steps_per_epoch else ""
    return (
        f"One step learns from {schedule.micro_batch_size} × {schedule.gradient_accumulation}"
        f" = {counted(sequences, 'sequence')}{tokens}.{per_epoch}"
    )


def _length(plan: RunPlan) -> str:
    schedule = plan.schedule
    epochs = schedule.total_steps / schedule.steps_per_epoch if schedule.steps_per_epoch else 0.0
    tokens = f", {short_count(schedule.total_tokens)} tokens in all" if schedule.total_tokens else ""
    return f"The run has {counted(schedule.total_steps, 'step')}: {epochs:.3g} times over the data{tokens}."


def _rates(plan: RunPlan) -> str:
    rates, schedule = plan.learning_rates, plan.schedule
    falls = "stays there" if schedule.schedule == "constant" else f"falls to 0 ({schedule.schedule})"
    words = f"It rises to {rate(rates.adapter)} over {counted(schedule.warmup_steps, 'step')}, then {falls}."
    if rates.lora_plus_ratio != 1.0:
        words += f" B matrices learn at {rate(rates.adapter * rates.lora_plus_ratio)}."
    return words


def _looks(plan: RunPlan) -> str:
    schedule, rows = plan.schedule, plan.data.num_evaluation_rows
    looks = ceil(schedule.total_steps / schedule.evaluate_every)
    return (
        f"{counted(looks, 'evaluation')} over {counted(rows, 'held-out row')}, every {schedule.evaluate_every} steps."
    )


def _saves(plan: RunPlan) -> str:
    saves = ceil(plan.schedule.total_steps / plan.schedule.save_every)
    size = file_size(plan.adapter.adapter_bytes + plan.memory.optimizer)
    return f"{counted(saves, 'checkpoint')} are written, about {size} each with the optimizer's states."


def _row_lengths(plan: RunPlan) -> str:
    data = plan.data
    longest = f"The longest row has {data.longest:,} tokens" if data.longest else "The rows were not measured"
    p99 = f", 99 % have at most {data.p99_length:,}" if data.p99_length else ""
    cut = f"; {counted(data.num_cut, 'row')} of {data.num_rows:,} are longer than {data.max_length:,}"
    return f"{longest}{p99}{cut if data.num_cut else ''}."


def _packing(plan: RunPlan) -> str:
    if plan.data.packing and plan.schedule.steps_per_epoch:
        return f"{plan.data.num_rows:,} rows share sequences of {plan.data.max_length:,} tokens."
    return f"Each of the {plan.data.num_rows:,} rows is a sequence of its own, padded to the longest beside it."


def _adapter(plan: RunPlan) -> str:
    adapter = plan.adapter
    return (
        f"{adapter.num_trainable:,} parameters are trained, {adapter.trainable_percent:.2f} %;"
        f" the update is scaled by {adapter.scaling:.3g}."
    )


def _base(plan: RunPlan) -> str:
    return f"The base takes {memory(plan.memory.weights)} of {memory(plan.memory.total)}."


def _optimizer(plan: RunPlan) -> str:
    return f"Its states take {memory(plan.memory.optimizer)} of {memory(plan.memory.total)}."


def _activations(plan: RunPlan) -> str:
    return f"Activations take {memory(plan.memory.activations)} of {memory(plan.memory.total)}."


def _held_out(plan: RunPlan) -> str:
    data = plan.data
    return f"{counted(data.num_evaluation_rows, 'row')} held out, {data.num_rows:,} to learn from."


def _budget(plan: RunPlan) -> str:
    free = memory(plan.memory.available) if plan.memory.available is not None else "an unknown amount"
    return f"The plan takes {memory(plan.memory.total)}; {free} may be used."


def _trained(plan: RunPlan) -> str:
    data = plan.data
    if not data.num_tokens or data.num_trained_tokens is None:
        return ""
    share = data.num_trained_tokens / data.num_tokens
    return f"{short_count(data.num_trained_tokens)} of {short_count(data.num_tokens)} tokens are learned, {share:.0%}."


_WRITERS: Mapping[str, Callable[[RunPlan], str]] = {
    "training.micro_batch_size": _batch,
    "training.gradient_accumulation": _batch,
    "training.tokens_per_step": _batch,
    "training.epochs": _length,
    "training.max_steps": _length,
    "training.evaluate_every": _looks,
    "training.save_every": _saves,
    "training.keep_checkpoints": _saves,
    "optimizer.learning_rate": _rates,
    "optimizer.warmup_steps": _rates,
    "optimizer.schedule": _rates,
    "optimizer.lora_plus_ratio": _rates,
    "optimizer.name": _optimizer,
    "data.max_length": _row_lengths,
    "data.over_length": _row_lengths,
    "data.packing": _packing,
    "data.evaluation_fraction": _held_out,
    "data.evaluation_sources": _held_out,
    "objective.train_on": _trained,
    "adapter.rank": _adapter,
    "adapter.alpha": _adapter,
    "adapter.variant": _adapter,
    "adapter.targets": _adapter,
    "adapter.layers": _adapter,
    "adapter.modules_to_save": _adapter,
    "adapter.method": _adapter,
    "model.quantization": _base,
    "model.dtype": _base,
    "acceleration.recompute": _activations,
    "acceleration.vram": _budget,
}
