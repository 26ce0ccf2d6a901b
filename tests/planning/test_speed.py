"""Estimated speed, held against steps that were measured on one H200 (docs/performance.md)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.planning.recipes import CPU_ONLY, LLAMA_8B, facts, machine, plan
from tui_tuner.journal.speeds import MeasuredSpeed
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import refine_plan
from tui_tuner.planning.speed import estimate_speed, speed_words

H200 = "NVIDIA H200"
LLAMA_1B = {**LLAMA_8B, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64}
QWEN_05B = {
    **LLAMA_8B,
    "hidden_size": 896,
    "intermediate_size": 4864,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
}
FULL_ROWS = facts(800, num_tokens=800 * 2048, num_trained_tokens=800 * 2048, longest=2048, max_length=2048)


def _gpu_plan(folder: Path, *overrides: str, config: dict[str, Any] = LLAMA_8B) -> RunPlan:
    on = machine(130)
    h200 = replace(on, gpus=(replace(on.gpus[0], name=H200),))
    return plan(folder, *overrides, on=h200, config=config, data=FULL_ROWS)


@pytest.mark.parametrize(
    ("config", "batch", "quantization", "recompute", "measured"),
    [
        (LLAMA_8B, 4, "none", "off", 17_476),
        (LLAMA_8B, 4, "none", "layers", 14_152),
        (LLAMA_8B, 4, "none", "offload", 13_736),
        (LLAMA_8B, 4, "nf4", "off", 16_760),
        (LLAMA_8B, 4, "nf4", "layers", 13_574),
        (LLAMA_8B, 4, "fp8", "off", 24_051),
        (LLAMA_1B, 2, "none", "off", 89_892),
        (LLAMA_1B, 2, "none", "layers", 75_928),
        (QWEN_05B, 2, "none", "off", 144_970),
    ],
)
def test_the_formula_is_within_a_tenth_of_what_was_measured(
    config: dict[str, Any], batch: int, quantization: str, recompute: str, measured: int, tmp_path: Path
) -> None:
    settings = (f"training.micro_batch_size={batch}", f"model.quantization={quantization}")
    planned = _gpu_plan(tmp_path, *settings, f"acceleration.recompute={recompute}", config=config)
    assert planned.speed is not None and planned.speed.source == "computed"
    assert planned.speed.tokens_per_second == pytest.approx(measured, rel=0.1)


def test_the_time_is_all_steps_and_evaluations(tmp_path: Path) -> None:
    planned = _gpu_plan(tmp_path)
    assert planned.speed is not None and planned.speed.tokens_per_second and planned.schedule.total_tokens
    steps_alone = planned.schedule.total_tokens / planned.speed.tokens_per_second
    assert planned.speed.seconds is not None and steps_alone < planned.speed.seconds < 1.2 * steps_alone
    assert speed_words(planned.speed).startswith("about ")


def test_a_processor_and_an_unknown_gpu_are_not_guessed_at(tmp_path: Path) -> None:
    for on in (CPU_ONLY, machine(80)):
        speed = plan(tmp_path, on=on, config=LLAMA_8B).speed
        assert speed is not None and (speed.tokens_per_second, speed.source) == (None, "unknown")
        assert "no earlier run of this model on this machine" in speed.reason
        assert speed_words(speed) == "not known before the first steps"


def test_an_earlier_run_on_this_machine_goes_before_the_formula(tmp_path: Path) -> None:
    planned = _gpu_plan(tmp_path)
    speed = estimate_speed(planned, H200, [MeasuredSpeed("20260801-run", 9_000.0, planned)])
    assert (speed.tokens_per_second, speed.source) == (9_000.0, "measured")
    assert "20260801-run" in speed.reason


def test_a_run_with_more_work_a_token_is_scaled_by_it(tmp_path: Path) -> None:
    kept = _gpu_plan(tmp_path, "acceleration.recompute=off")
    again = _gpu_plan(tmp_path, "acceleration.recompute=layers")
    speed = estimate_speed(kept, H200, [MeasuredSpeed("slow", 9_000.0, again)])
    assert speed.tokens_per_second is not None and 10_500 < speed.tokens_per_second < 12_500


def test_runs_on_another_machine_or_in_another_type_say_nothing(tmp_path: Path) -> None:
    planned = plan(tmp_path, on=CPU_ONLY)
    elsewhere = planned.model_copy(
        update={"speed": planned.speed.model_copy(update={"device_name": "96 x Other"}) if planned.speed else None}
    )
    in_4_bit = planned.model_copy(update={"quantization": "nf4"})
    device = planned.speed.device_name if planned.speed else ""
    measured = [MeasuredSpeed("a", 1.0, elsewhere), MeasuredSpeed("b", 1.0, in_4_bit)]
    assert estimate_speed(planned, device, measured).source == "unknown"


def test_the_exact_data_change_the_time_and_not_the_measured_speed(tmp_path: Path) -> None:
    planned = plan(tmp_path, on=CPU_ONLY)
    device = planned.speed.device_name if planned.speed else ""
    speed = estimate_speed(planned, device, [MeasuredSpeed("a", 500.0, planned)])
    refined = refine_plan(planned.model_copy(update={"speed": speed}), facts(3200, is_exact=True)).speed
    assert refined is not None and refined.tokens_per_second == 500.0
    assert speed.seconds is not None and refined.seconds is not None and refined.seconds > 1.5 * speed.seconds
