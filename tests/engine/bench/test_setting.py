"""What each system of a case is asked for."""

from pathlib import Path

import pytest

from tests.plans import llama_plan
from tui_tuner.engine.bench.named_models import write_random_model
from tui_tuner.engine.bench.peers.case_plan import plan_of_job
from tui_tuner.engine.bench.peers.cases import chosen_cases
from tui_tuner.engine.bench.peers.made_rows import write_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Job
from tui_tuner.engine.bench.peers.setting import Setting


def setting(name: str) -> Setting:
    (case,) = chosen_cases((name,))
    job = Job(
        system="tuner", model="m", base=case.base, recompute=case.recompute, device="cuda", rows="r", adapter="a",
        result="", rows_per_batch=case.rows, accumulation=case.accumulation,
    )  # fmt: skip
    return Setting(case, job, llama_plan().model, 192, 0.64)


def asked(name: str, system: str) -> list[tuple[object, ...]]:
    chosen = setting(name)
    jobs = [chosen.job_of(one) for one in chosen.variants(system)]
    return [(job.base, job.recompute, job.way, job.rows_per_batch) for job in jobs]


def test_where_a_case_recomputes_ours_comes_with_inputs_on_the_host_as_well() -> None:
    assert asked("8b-nf4-recompute", "tuner") == [("nf4", "on", "in order", 4), ("nf4", "offload", "in order", 4)]
    assert asked("8b-nf4-recompute", "unsloth") == [("nf4", "on", "in order", 4)]
    assert [one.label for one in setting("1b-bf16-recompute").variants("tuner")] == ["tuner", "tuner, offload"]


def test_where_ours_would_hold_weights_twice_it_has_a_budget_and_peers_have_none() -> None:
    chosen = setting("8b-nf4-keep")
    limits = {system: chosen.job_of(chosen.variants(system)[0]).memory_limit for system in ("tuner", "unsloth")}
    assert limits == {"tuner": 39 * 2**30, "unsloth": 0}


def test_a_default_is_ours_to_plan_and_theirs_to_recompute() -> None:
    assert asked("8b-default", "tuner") == [("bf16", "auto", "in order", 2)]
    assert asked("8b-default", "unsloth") == [("bf16", "on", "in order", 2)]


def test_peers_of_an_8_bit_base_have_16_bits() -> None:
    assert asked("8b-fp8-keep", "tuner") == [("fp8", "off", "in order", 4)]
    assert asked("8b-fp8-keep", "hf") == [("bf16", "off", "in order", 4)]


def test_real_lengths_are_taken_in_every_way_that_a_system_has() -> None:
    assert [(way, rows) for _, _, way, rows in asked("real-1b-gsm8k", "unsloth")] == [
        ("in order", 16), ("grouped", 16), ("trainer's default", 16), ("trainer's packing", 2),
    ]  # fmt: skip
    ours = [one.label for one in setting("real-1b-gsm8k").variants("tuner")]
    assert ours == ["tuner, packed", "tuner, packed, offload", "tuner, packed, nothing recomputed"]
    labels = [one.label for one in setting("real-1b-gsm8k").variants("hf")]
    assert labels == ["HF + PEFT, padded", "HF + PEFT, grouped", "HF + PEFT, packed"]


@pytest.mark.parametrize("is_exact", [False, True])
def test_the_reference_is_the_check_alone(is_exact: bool) -> None:
    job = setting("8b-bf16-keep").reference_job(is_exact=is_exact)
    assert (job.system, job.steps, job.recompute, job.in_float32) == ("hf", 0, "on", is_exact)


def test_the_plan_of_a_job_is_that_of_its_setting(tmp_path: Path) -> None:
    (case,) = chosen_cases(("tiny-default",))
    job = Job(
        system="tuner", model=str(write_random_model(tmp_path / "model", "tiny")), base="bf16", recompute="on",
        device="cpu", rows=str(tmp_path / "rows.npz"), adapter="", result="", rows_per_batch=3, accumulation=2,
        max_length=64, rank=8, alpha=4,
    )  # fmt: skip
    write_rows(Path(job.rows), case, 512)
    plan = plan_of_job(job)
    assert (plan.schedule.micro_batch_size, plan.schedule.gradient_accumulation) == (3, 2)
    assert (plan.adapter.rank, plan.adapter.scaling, plan.data.max_length) == (8, 0.5, 64)
    assert (plan.recompute, plan.dtype, plan.quantization) == ("layers", "bfloat16", "none")
