"""A run from recipe to proven adapter: its events, its folder, and what must not depend on how it was cut up."""

from itertools import groupby
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.engine.tiny_runs import Done, folded, recipe_in, train
from tests.tiny import write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.events import (
    DataReady,
    EvalFinished,
    Outcome,
    PhaseStarted,
    Progress,
    ProofFinished,
    RunFinished,
    SampleGenerated,
    StepFinished,
)
from tui_tuner.journal import read_events, read_state
from tui_tuner.plan import RunPlan
from tui_tuner.recipe import read_recipe

HELD_OUT = "data.evaluation_fraction=0.2"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A run of four steps that looks twice."""
    looks = ("training.evaluate_every=2", "training.save_every=2", "training.exact_match_rows=2")
    return train(tmp_path_factory.mktemp("run"), "training.max_steps=4", HELD_OUT, *looks)


def test_events_come_in_their_order(done: Done) -> None:
    words = [f"{one.kind} {one.phase}" if isinstance(one, PhaseStarted) else one.kind for one in done.events]
    look = ["eval", "sample"]
    assert [word for word, _ in groupby(words)] == [
        "run_started", "phase_started labelling", "progress", "data_ready", "row_labelled",
        "phase_started loading", "model_ready", "phase_started baseline", *look, "phase_started training",
        "step", *look, "checkpoint", "step", "weights_checked", "step", *look, "checkpoint", "weights_checked",
        "phase_started saving", "phase_started proving", "proof", "run_finished",
    ]  # fmt: skip


def test_the_journal_holds_the_events_and_replays_to_their_state(done: Done) -> None:
    told = [one for one in done.events if not isinstance(one, Progress)]
    assert list(read_events(done.folder)) == told
    assert read_state(done.folder) == folded(told)


def test_the_base_and_each_look_are_measured_by_the_same_rows(done: Done) -> None:
    evals = done.of(EvalFinished)
    assert [one.step for one in evals] == [0, 2, 4]
    assert len({(one.rows, one.trained_tokens) for one in evals}) == 1
    assert evals[-1].loss < evals[0].loss


def test_exact_match_is_measured_at_the_start_and_at_the_end(done: Done) -> None:
    assert [sorted(one.metrics) for one in done.of(EvalFinished)] == [
        ["exact_match", "token_accuracy"],
        ["token_accuracy"],
        ["exact_match", "token_accuracy"],
    ]


def test_samples_repeat_the_held_out_questions_beside_what_is_expected(done: Done) -> None:
    samples = done.of(SampleGenerated)
    assert [(one.step, one.index) for one in samples] == [(step, index) for step in (0, 2, 4) for index in (0, 1)]
    assert len({(one.prompt, one.expected) for one in samples}) == 2
    assert all(one.expected is not None and one.expected.startswith("ok") for one in samples)


def test_the_last_event_says_what_came_of_it(done: Done) -> None:
    last = done.events[-1]
    assert isinstance(last, RunFinished)
    assert (last.outcome, last.step, last.adapter) == (Outcome.COMPLETED, 4, str(done.folder / "adapter"))
    assert last.best_loss == min(one.loss for one in done.of(EvalFinished))
    assert last.tokens == sum(one.tokens for one in done.of(StepFinished))


def test_the_run_folder_holds_recipe_plan_events_and_log(done: Done) -> None:
    assert read_recipe(done.folder / "recipe.toml") == recipe_in(
        done.folder.parents[1], "training.max_steps=4", HELD_OUT, "training.evaluate_every=2",
        "training.save_every=2", "training.exact_match_rows=2",
    )  # fmt: skip
    plan = RunPlan.model_validate_json((done.folder / "plan.json").read_text())
    (ready,) = done.of(DataReady)
    assert (plan.data, plan.schedule) == (ready.data, ready.schedule)
    assert plan.data.is_exact
    names = {path.name for path in done.folder.iterdir()}
    assert names >= {"recipe.toml", "plan.json", "events.jsonl", "log.txt", "lock", "checkpoints", "adapter"}


def test_the_proof_compares_saved_live_and_base(done: Done) -> None:
    (proof,) = done.of(ProofFinished)
    assert proof.passed
    assert proof.positions == done.of(EvalFinished)[0].trained_tokens
    assert proof.loss_saved == pytest.approx(done.of(EvalFinished)[-1].loss, abs=1e-5)
    assert proof.loss_base == pytest.approx(done.of(EvalFinished)[0].loss, abs=1e-5)


def test_a_run_leaves_nothing_on_standard_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = recipe_in(tmp_path, "adapter.method=full", "training.max_steps=1")
    capfd.readouterr()
    list(run(recipe, Controls()))
    assert capfd.readouterr() == ("", "")


def test_a_small_set_is_learned_by_heart(tmp_path: Path) -> None:
    steps = ("training.max_steps=30", "training.micro_batch_size=12", "training.gradient_accumulation=1")
    whole = ('adapter.modules_to_save=["embed_tokens", "lm_head"]', "optimizer.embedding_learning_rate=0.05")
    done = train(tmp_path, *steps, *whole, "optimizer.schedule=constant")
    assert done.losses[-1] < 0.2 * done.losses[0]


def test_the_cut_into_micro_batches_changes_nothing(tmp_path: Path) -> None:
    one, eight = (
        train(
            tmp_path, f"training.micro_batch_size={micro}", f"training.gradient_accumulation={8 // micro}",
            f"output.name=by{micro}", "training.max_steps=4",
        )
        for micro in (1, 8)
    )  # fmt: skip
    assert one.losses == pytest.approx(eight.losses, abs=1e-6)
    for name, tensor in one.adapter.items():
        torch.testing.assert_close(tensor, eight.adapter[name], atol=1e-5, rtol=0)


def test_the_same_seed_gives_the_same_adapter_bit_by_bit(tmp_path: Path) -> None:
    settings = ("adapter.dropout=0.2", "training.max_steps=1")
    first = train(tmp_path, *settings)
    second = train(tmp_path, *settings, "output.name=two")
    other = train(tmp_path, *settings, "output.name=other", "training.seed=1")
    assert all(torch.equal(tensor, second.adapter[name]) for name, tensor in first.adapter.items())
    assert not all(torch.equal(tensor, other.adapter[name]) for name, tensor in first.adapter.items())


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
def test_the_learning_rate_follows_the_schedule(tmp_path: Path, schedule: str) -> None:
    settings = ("training.max_steps=4", f"optimizer.schedule={schedule}", "optimizer.warmup_steps=2")
    done = train(tmp_path, *settings)
    rates = [one.learning_rate for one in done.of(StepFinished)]
    falling = {"linear": [0.01, 0.005], "cosine": [0.01, 0.005], "constant": [0.01, 0.01]}
    assert rates == pytest.approx([0.005, 0.01, *falling[schedule]])


def test_recomputed_layers_give_the_same_run(tmp_path: Path) -> None:
    kept = train(tmp_path, "acceleration.recompute=off")
    again = train(tmp_path, "acceleration.recompute=layers", "output.name=two")
    assert again.losses == pytest.approx(kept.losses, abs=1e-6)


def test_the_base_folder_is_left_as_it_was(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in model.iterdir()}
    train(tmp_path, "adapter.method=full", model=model)
    assert {path.name: path.read_bytes() for path in model.iterdir()} == before
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "runs/one/model").dtype == torch.float32
