"""Our steps and a peer's, of one job: the same loss, the same gradients, the same tokens."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tui_tuner.engine.bench.named_models import write_random_model
from tui_tuner.engine.bench.peers.case_plan import plan_of_job
from tui_tuner.engine.bench.peers.cases import chosen_cases
from tui_tuner.engine.bench.peers.judging import gradient_cosine
from tui_tuner.engine.bench.peers.made_rows import write_adapter, write_rows
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Job, Recompute, Way, read_answer, read_job
from tui_tuner.engine.bench.peers.outside.peer_runner.timing import measure
from tui_tuner.engine.bench.peers.own import measure_own

ROWS_OF_CASE = "tiny-real"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Job]:
    folder = tmp_path_factory.mktemp("agreement")
    case = replace(chosen_cases((ROWS_OF_CASE,))[0], length=96)
    threads = torch.get_num_threads()
    made = Job(
        system="tuner", model=str(write_random_model(folder / "model", "tiny", torch.float32)), base="f32",
        recompute="off", device="cpu", rows=str(folder / "rows.npz"), adapter=str(folder / "adapter.safetensors"),
        result=str(folder / "answer.json"), gradients=str(folder / "reference"), rows_per_batch=2, max_length=96,
        check_rows=5, warm_up=1, steps=2,
    )  # fmt: skip
    write_rows(Path(made.rows), case, 512)
    write_adapter(Path(made.adapter), plan_of_job(made).adapter)
    yield made
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def reference(job: Job) -> float:
    answer = measure(replace(job, system="hf", steps=0))
    assert answer.check_loss is not None
    return answer.check_loss


@pytest.mark.parametrize(
    ("way", "recompute"), [("in order", "off"), ("packed", "off"), ("packed", "on"), ("in order", "offload")]
)
def test_loss_and_gradients_are_the_references(
    job: Job, reference: float, way: Way, recompute: Recompute, tmp_path: Path
) -> None:
    gradients = tmp_path / "gradients"
    answer = measure_own(replace(job, way=way, recompute=recompute, gradients=str(gradients), steps=0))
    assert answer.check_loss == pytest.approx(reference, rel=1e-5)
    assert gradient_cosine(gradients, Path(job.gradients)) > 0.99999


def test_both_take_the_same_rows(job: Job) -> None:
    ours, theirs = measure_own(replace(job, gradients="")), measure(replace(job, system="hf", gradients=""))
    assert ours.tokens == theirs.tokens
    assert ours.padded_tokens == theirs.padded_tokens
    assert ours.num_trainable == theirs.num_trainable
    assert len(ours.seconds) == len(theirs.seconds) == job.steps


def test_a_peer_that_trains_other_modules_is_refused(job: Job, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    values = load_file(job.adapter)
    values.pop(next(iter(values)))
    save_file(values, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="trains other modules than were asked for"):
        measure(replace(job, system="hf", adapter=str(tmp_path / "other.safetensors")))


def test_jobs_and_answers_survive_their_files(job: Job, tmp_path: Path) -> None:
    job.write(tmp_path / "job.json")
    assert read_job(tmp_path / "job.json") == job
    answer = measure_own(replace(job, steps=1, gradients=""))
    answer.write(tmp_path / "answer.json")
    assert read_answer(tmp_path / "answer.json") == answer
