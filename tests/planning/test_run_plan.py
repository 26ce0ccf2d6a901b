import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.planning.model_folders import write_weights
from tests.planning.recipes import CPU_ONLY, GIB, LLAMA_8B, facts, machine, plan, recipe
from tui_tuner.errors import MachineError, ModelError, RecipeError
from tui_tuner.families.llama import LLAMA
from tui_tuner.plan import RunPlan
from tui_tuner.planning.run_plan import fetch_weights, make_plan, refine_plan

DATA = Path(__file__).parents[3] / "shared" / "data"


def reason_of(planned: RunPlan, field: str) -> str:
    return next(decision.reason for decision in planned.decisions if decision.field == field)


def test_without_a_gpu_a_run_computes_in_float32_on_the_cpu(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    assert (planned.device, planned.dtype, planned.quantization) == ("cpu", "float32", "none")


def test_every_auto_has_a_decision_with_a_reason(tmp_path: Path) -> None:
    planned = plan(tmp_path, 'adapter.modules_to_save=["embed_tokens", "norm"]')
    decided = {decision.field for decision in planned.decisions}
    asked = recipe().model_dump()
    autos = {f"{name}.{field}" for name in asked for field, value in asked[name].items() if value == "auto"}
    # Settled by the engine or the front ends, or said in `name`.
    elsewhere = {
        "model.name_mapping",
        "training.sample_prompts",
        "acceleration.vram",
        "export.base_name",
        "output.name",
    }
    elsewhere |= {"training.tokens_per_step"}
    assert autos - elsewhere <= decided
    assert all(decision.reason for decision in planned.decisions)


def test_a_model_that_fits_stays_in_bfloat16(tmp_path: Path) -> None:
    planned = plan(tmp_path, on=machine(80), config=LLAMA_8B)
    assert (planned.device, planned.dtype, planned.quantization) == ("cuda", "bfloat16", "none")
    assert planned.memory.total <= 80 * GIB


def test_a_model_that_does_not_fit_is_held_in_4_bit(tmp_path: Path) -> None:
    planned = plan(tmp_path, on=machine(12), config=LLAMA_8B)
    assert planned.quantization == "nf4"
    assert "12.0 GiB are free" in reason_of(planned, "model.quantization")
    assert planned.memory.total <= 12 * GIB


def test_the_less_memory_there_is_the_fewer_layers_keep_everything(tmp_path: Path) -> None:
    fixed = ("model.quantization=none", "training.micro_batch_size=8")
    plans = [plan(tmp_path, *fixed, on=machine(free), config=LLAMA_8B) for free in (140, 32, 26, 22, 20)]
    assert [one.recompute for one in plans] == ["off", "selective", "selective", "offload", "offload"]
    layers = [one.layers for one in plans if one.layers is not None]
    assert layers == sorted(layers, key=lambda one: (one.keep, one.recompute), reverse=True)
    assert all(one.memory.total <= free * GIB for one, free in zip(plans, (140, 32, 26, 22, 20), strict=True))


def test_what_fits_beside_layers_that_compute_again_is_filled_by_others(tmp_path: Path) -> None:
    asked = ("model.quantization=none", "training.micro_batch_size=8")
    planned = plan(tmp_path, *asked, on=machine(21), config=LLAMA_8B)
    assert planned.layers is not None
    assert min(planned.layers.keep, planned.layers.recompute, planned.layers.offload) > 0
    assert f"{planned.layers.offload} wait on the host" in reason_of(planned, "acceleration.recompute")


@pytest.mark.parametrize(("host", "sends", "share"), [(800, "attended", 1.0), (60, "input", 1.0), (30, "input", 0.9)])
def test_layers_send_what_the_host_has_room_for(tmp_path: Path, host: int, sends: str, share: float) -> None:
    on, long = replace(machine(24), ram_free_bytes=host * GIB), facts(max_length=100_000, longest=100_000)
    planned = plan(tmp_path, "model.quantization=nf4", on=on, config=LLAMA_8B, data=long)
    assert planned.layers is not None and planned.layers.sends == sends
    assert (planned.layers.offload == 31) == (share == 1.0)
    assert 0 < planned.memory.host <= 0.75 * host * GIB


def test_a_host_without_room_for_what_the_recipe_asks_is_told(tmp_path: Path) -> None:
    on, long = replace(machine(80), ram_free_bytes=8 * GIB), facts(max_length=64_000, longest=64_000)
    asked = ("acceleration.recompute=offload", "training.micro_batch_size=1")
    planned = plan(tmp_path, *asked, on=on, config=LLAMA_8B, data=long)
    assert any("of its memory, and 8.0 GiB are free" in one for one in planned.warnings)


def test_a_micro_batch_is_not_larger_than_keeps_the_gpu_busy(tmp_path: Path) -> None:
    many = ("model.quantization=none", "training.tokens_per_step=100000")
    schedule = plan(tmp_path, *many, on=machine(140), config=LLAMA_8B).schedule
    assert schedule.micro_batch_size * 1024 == 8192


def test_fewer_tokens_at_once_are_better_than_computing_most_layers_again(tmp_path: Path) -> None:
    planned = plan(tmp_path, "model.quantization=none", on=machine(30), config=LLAMA_8B)
    assert (planned.recompute, planned.schedule.micro_batch_size) == ("off", 4)


def test_a_model_without_our_layers_recomputes_all_or_none(tmp_path: Path) -> None:
    asked = ("acceleration.kernels=off", "training.micro_batch_size=2")
    planned = plan(tmp_path, *asked, on=machine(24), config=LLAMA_8B)
    assert (planned.recompute, planned.layers) == ("layers", None)


@pytest.mark.parametrize("free", [12, 24, 48, 80])
def test_a_step_holds_16_rows_whatever_fits_at_once(free: int, tmp_path: Path) -> None:
    schedule = plan(tmp_path, on=machine(free), config=LLAMA_8B).schedule
    assert schedule.micro_batch_size * schedule.gradient_accumulation == 16


def test_what_fits_nowhere_is_warned_of(tmp_path: Path) -> None:
    planned = plan(tmp_path, on=machine(4), config=LLAMA_8B)
    assert "probably run out of memory" in planned.warnings[0]


def test_the_vram_budget_bounds_the_plan(tmp_path: Path) -> None:
    planned = plan(tmp_path, "acceleration.vram=10", on=machine(80), config=LLAMA_8B)
    assert (planned.memory.available, planned.quantization) == (10 * GIB, "nf4")


def test_an_old_gpu_computes_in_float32(tmp_path: Path) -> None:
    assert plan(tmp_path, on=machine(16, (7, 5))).dtype == "float32"


def test_cuda_without_a_gpu_is_an_error_of_the_machine(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no NVIDIA GPU is visible"):
        plan(tmp_path, "acceleration.device=cuda")


def test_problems_of_recipe_machine_and_model_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, "optimizer.name=adamw_8bit", 'adapter.targets=["nope"]')
    assert [problem.path for problem in caught.value.problems] == ["optimizer.name", "adapter.targets"]


def test_full_fine_tuning_cannot_be_4_bit(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.quantization"):
        plan(tmp_path, "adapter.method=full", "model.quantization=nf4", on=machine(80))


def test_a_module_in_4_bit_cannot_be_trained_in_full(tmp_path: Path) -> None:
    overrides = ('adapter.targets=["q_proj"]', 'adapter.modules_to_save=["o_proj"]', "model.quantization=nf4")
    with pytest.raises(RecipeError, match="which nf4 holds in 4 bit"):
        plan(tmp_path, *overrides, on=machine(80))


def test_embeddings_learn_at_a_tenth(tmp_path: Path) -> None:
    rates = plan(tmp_path, 'adapter.modules_to_save=["embed_tokens"]').learning_rates
    assert [rates.adapter, rates.embedding, rates.norm] == pytest.approx([2e-4, 2e-5, 2e-4])


def test_asked_values_are_kept_without_a_decision(tmp_path: Path) -> None:
    overrides = ("training.micro_batch_size=3", "training.gradient_accumulation=5", "acceleration.recompute=layers")
    planned = plan(tmp_path, *overrides)
    schedule = planned.schedule
    assert (schedule.micro_batch_size, schedule.gradient_accumulation, planned.recompute) == (3, 5, "layers")
    assert not any(decision.field == "training.micro_batch_size" for decision in planned.decisions)


def test_tokens_per_step_are_met_by_accumulation(tmp_path: Path) -> None:
    schedule = plan(tmp_path, "training.tokens_per_step=20000", "training.micro_batch_size=4").schedule
    assert schedule.gradient_accumulation == 25


def test_exact_data_change_the_steps_and_nothing_of_the_model(tmp_path: Path) -> None:
    planned = plan(tmp_path)
    refined = refine_plan(planned, facts(800, is_exact=True, num_cut=80))
    assert refined.schedule.total_steps == planned.schedule.total_steps // 2
    assert (refined.model, refined.adapter, refined.device) == (planned.model, planned.adapter, planned.device)
    assert {one.field for one in refined.decisions} == {one.field for one in planned.decisions}
    assert "80 of 800 rows are longer than 1024 tokens" in refined.warnings[0]


def test_exact_data_do_not_forget_what_the_host_has_room_for(tmp_path: Path) -> None:
    on, long = replace(machine(24), ram_free_bytes=30 * GIB), facts(max_length=100_000, longest=100_000)
    planned = plan(tmp_path, "model.quantization=nf4", on=on, config=LLAMA_8B, data=long)
    assert refine_plan(planned, long).memory == planned.memory
    assert planned.memory.host_available == 30 * GIB


def test_a_budget_that_is_set_afterwards_bounds_the_refined_plan(tmp_path: Path) -> None:
    planned = plan(tmp_path, "model.quantization=nf4", on=machine(140), config=LLAMA_8B)
    smaller = planned.recipe.model_copy(
        update={"acceleration": planned.recipe.acceleration.model_copy(update={"vram": 24})}
    )
    memory = refine_plan(planned.model_copy(update={"recipe": smaller}), facts()).memory
    assert memory.available == 24 * GIB
    assert memory.total <= 24 * GIB


def test_a_generic_model_runs_without_kernels_and_says_so(tmp_path: Path) -> None:
    write_weights(tmp_path / "model.safetensors", {"model.layers.0.up.weight": (8, 64)})
    odd = {**LLAMA.tiny, "model_type": "odd", "architectures": ["OddForCausalLM"]}
    planned = plan(tmp_path, config=odd)
    assert planned.kernels == "off"
    assert "unaccelerated" in reason_of(planned, "acceleration.kernels")


def test_weights_that_are_not_there_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no weight files"):
        fetch_weights(plan(tmp_path))


def test_a_real_model_and_real_rows_are_planned() -> None:
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data")
    asked = recipe(f"model.source={DATA / 'models/stories260K_hf'}").model_dump(mode="json", exclude_defaults=True)
    asked["data"] = {"sources": [{"path": str(DATA / "datasets/gsm8k/train.jsonl")}]}
    planned = make_plan(type(recipe()).model_validate_json(json.dumps(asked)), CPU_ONLY)
    assert planned.model.num_parameters == 260_032
    assert planned.data.num_rows == pytest.approx(6162, rel=0.05)  # 1,111 of 7,473 do not fit into the context
    assert planned.model.unknowns == ()
