"""How fast a plan will train: by earlier runs on this machine, else by the GPU's data sheet, else it is not known."""

from collections.abc import Sequence
from math import ceil, log

from tui_tuner.journal.speeds import MeasuredSpeed
from tui_tuner.plan import RunPlan, SpeedEstimate
from tui_tuner.planning.gpu_peaks import GpuPeak, gpu_peak
from tui_tuner.planning.work import (
    activation_bytes_per_token,
    frozen_operations_per_token,
    mean_length,
    operations_per_token,
)
from tui_tuner.units import duration, short_count

PRODUCT_SHARE = 0.75
"""Of the data sheet's operations that large products reach: 62 to 79 % were measured (docs/performance.md)."""
MEMORY_SHARE = 0.80
"""Of the data sheet's memory traffic that the kernels reach."""
NF4_BYTES = 2.6
"""Moved to make one 16-bit weight of 4 bits: read them and their scales, write two bytes."""
NF4_SHARE = 0.35
FP8_PRODUCTS = 1.9
"""Times as fast as at `PRODUCT_SHARE` are products with a base in 8 bits: 178 ms of a step at 8B."""
OPTIMIZER_BYTES = 28
"""Moved for each trained parameter in a step: weight, gradient and two moments, read and written, and a copy."""
LAYER_SECONDS = 0.00015
"""A micro-step takes at least this for each of our own layers: what starting its kernels takes."""
EAGER_LAYER_SECONDS = 0.008
EAGER_AGAIN_SECONDS = 0.0125
"""The same for layers that Hugging Face's code computes, without and with recompute (docs/results.md, on an H100)."""
EAGER_TRAFFIC = 2.5
"""Times as many bytes as with fused kernels."""
EVALUATION_SHARE = 1 / 3
"""A token costs this much to evaluate, of what it costs to train: the forward pass."""


def estimate_speed(plan: RunPlan, device_name: str, measured: Sequence[MeasuredSpeed]) -> SpeedEstimate:
    """`measured`: earlier runs of the same model; those of other devices and types are passed over."""
    alike = [one for one in measured if _is_comparable(one.plan, plan, device_name)]
    if alike:
        nearest = min(alike, key=lambda one: _distance(one.plan, plan))
        work = operations_per_token(nearest.plan) / operations_per_token(plan)
        other = "" if abs(work - 1) < 0.02 else f", times {work:.2f} for another amount of work a token"
        reason = f"run {nearest.run_id} reached {nearest.tokens_per_second:,.0f} tok/s on this machine{other}"
        return _estimate(plan, nearest.tokens_per_second * work, "measured", device_name, reason)
    peak = gpu_peak(device_name) if plan.device == "cuda" else None
    if peak is None or plan.dtype != "bfloat16" or not plan.model.is_accelerated:
        return _estimate(plan, None, "unknown", device_name, _why_unknown(plan, device_name, peak))
    name = device_name.removeprefix("NVIDIA ")
    reason = (
        f"{operations_per_token(plan) / 1e9:.3g} GFLOP a token, at the share of {name}'s {peak.teraflops:,.0f} TFLOP/s "
        f"and {peak.gigabytes / 1000:.2g} TB/s that tuner reached on an H200"
    )
    return _estimate(plan, _computed_speed(plan, peak), "computed", device_name, reason)


def speed_words(estimate: SpeedEstimate | None, *, has_time: bool = True) -> str:
    """The estimate in a few words, without where it is from: that is its `reason`.

    `has_time`: whether the data are known, and with them how long it takes.
    """
    if estimate is None or estimate.tokens_per_second is None:
        return "not known before the first steps"
    speed = f"{short_count(round(estimate.tokens_per_second))} tok/s"
    if estimate.seconds is None or not has_time:
        return f"about {speed}"
    return f"about {duration(estimate.seconds)} at {speed}"


def renewed_speed(plan: RunPlan, before: SpeedEstimate | None) -> SpeedEstimate | None:
    """The estimate for the same model and machine over data that is known better by now."""
    if before is None or before.source == "computed":
        return estimate_speed(plan, before.device_name, ()) if before else None
    return _estimate(plan, before.tokens_per_second, before.source, before.device_name, before.reason)


def _estimate(
    plan: RunPlan, tokens_per_second: float | None, source: str, device_name: str, reason: str
) -> SpeedEstimate:
    seconds = None
    if tokens_per_second and plan.schedule.total_tokens:
        seconds = (plan.schedule.total_tokens + EVALUATION_SHARE * _evaluated_tokens(plan)) / tokens_per_second
    return SpeedEstimate.model_validate(
        {
            "tokens_per_second": tokens_per_second,
            "seconds": seconds,
            "source": source,
            "device_name": device_name,
            "reason": reason,
        }
    )


def _evaluated_tokens(plan: RunPlan) -> float:
    """Of the base's evaluation and all others."""
    looks = 1 + ceil(plan.schedule.total_steps / max(1, plan.schedule.evaluate_every))
    return looks * plan.data.num_evaluation_rows * mean_length(plan.data)


def _computed_speed(plan: RunPlan, peak: GpuPeak) -> float:
    """Products at their share of the peak, then everything else at its share of the memory's speed."""
    micro_step = _micro_tokens(plan)
    traffic = activation_bytes_per_token(plan) * (1.0 if plan.layers is not None else EAGER_TRAFFIC)
    traffic += OPTIMIZER_BYTES * plan.adapter.num_trainable / (micro_step * plan.schedule.gradient_accumulation)
    operations = operations_per_token(plan)
    if plan.quantization == "fp8":
        operations -= frozen_operations_per_token(plan) * (1 - 1 / FP8_PRODUCTS)
    seconds = operations / (PRODUCT_SHARE * peak.teraflops * 1e12)
    seconds += traffic / (MEMORY_SHARE * peak.gigabytes * 1e9)
    if plan.quantization == "nf4":
        times = 2 if plan.recompute == "off" else 3
        unpacked = times * plan.model.num_linear_parameters * NF4_BYTES
        seconds += unpacked / (NF4_SHARE * peak.gigabytes * 1e9) / micro_step
    return micro_step / max(micro_step * seconds, _least_seconds(plan))


def _least_seconds(plan: RunPlan) -> float:
    """Of one micro-step, where the device waits for the processor that starts its kernels."""
    if plan.layers is not None:
        return plan.model.num_layers * LAYER_SECONDS
    return plan.model.num_layers * (EAGER_LAYER_SECONDS if plan.recompute == "off" else EAGER_AGAIN_SECONDS)


def _is_comparable(other: RunPlan, plan: RunPlan, device_name: str) -> bool:
    if other.speed is None or other.speed.device_name != device_name:
        return False
    fields = ("device", "dtype", "quantization", "kernels", "threads")
    return other.adapter.method == plan.adapter.method and all(
        getattr(other, name) == getattr(plan, name) for name in fields
    )


def _distance(other: RunPlan, plan: RunPlan) -> float:
    """How unlike two plans of one model are, in what speed depends on."""
    pairs = (
        (operations_per_token(other), operations_per_token(plan)),
        (_micro_tokens(other), _micro_tokens(plan)),
    )
    return sum(abs(log(max(1.0, one) / max(1.0, two))) for one, two in pairs) + (other.recompute != plan.recompute)


def _micro_tokens(plan: RunPlan) -> float:
    schedule = plan.schedule
    if schedule.tokens_per_step is not None:
        return max(1.0, schedule.tokens_per_step / schedule.gradient_accumulation)
    return max(1.0, schedule.micro_batch_size * mean_length(plan.data))


def _why_unknown(plan: RunPlan, device_name: str, peak: GpuPeak | None) -> str:
    then = "known after the first steps, and from then on for this model"
    if plan.device == "cpu":
        return f"no earlier run of this model on this machine, and processors differ too much; {then}"
    name = device_name.removeprefix("NVIDIA ") or "this GPU"
    if peak is None:
        return f"no earlier run of this model on this machine, and {name} is not in the table of peaks; {then}"
    why = "an unknown family's code" if not plan.model.is_accelerated else f"{plan.dtype}"
    return f"no earlier run of this model on this machine, and the speed of {why} was never measured; {then}"
