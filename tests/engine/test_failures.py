"""A run that cannot go on says why, in the journal too, and leaves nothing half-written."""

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.tiny_runs import greetings, recipe_in, train, write_rows
from tests.tiny import byte_tokenizer, write_tiny_model
from tui_tuner.controls import Controls
from tui_tuner.engine.run import run
from tui_tuner.errors import DataError, MachineError, ModelError, RunError, TrainingError, TunerError
from tui_tuner.events import EvalFinished, ProofFinished, RunFailed, StepFinished, TrainEvent
from tui_tuner.journal import read_events

FILE_LIMIT = 60_000
"""Bytes: more than the journal and the tokenizer take, less than the adapter."""


@pytest.fixture
def small_files(tmp_path: Path) -> Iterator[None]:
    """A disk that takes no large file, as long as the test runs; the model is there before."""
    write_tiny_model(tmp_path / "model")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_broken_model(folder: Path) -> Path:
    """A model whose embedding of "~" is not a number."""
    write_tiny_model(folder)
    tensors = load_file(folder / "model.safetensors")
    (token,) = byte_tokenizer()("~").input_ids
    tensors["model.embed_tokens.weight"][token, 0] = torch.nan
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def failing(folder: Path, *overrides: str, model: Path | None = None) -> tuple[TunerError, list[TrainEvent]]:
    """The error of a run that fails, and the events up to then."""
    events: list[TrainEvent] = []
    with pytest.raises(TunerError) as caught:
        for event in run(recipe_in(folder, *overrides, model=model), Controls()):
            events.append(event)  # noqa: PERF402 - what came before the error counts
    return caught.value, events


@pytest.mark.parametrize(("packing", "step"), [("false", 2), ("true", 1)])
def test_a_loss_that_is_not_a_number_names_step_and_row(tmp_path: Path, packing: str, step: int) -> None:
    rows = greetings()
    rows[5] = {"prompt": "hi ~", "completion": "ok"}
    write_rows(tmp_path / "rows.jsonl", rows)
    in_order = ("data.shuffle=false", f"data.packing={packing}", "data.max_length=96")
    error, events = failing(tmp_path, *in_order, model=write_broken_model(tmp_path / "model"))
    assert isinstance(error, TrainingError)
    assert error.message.startswith(f"Step {step}: loss is nan")
    assert f"(row {tmp_path}/rows.jsonl:6)" in error.message
    last = list(read_events(tmp_path / "runs" / "one"))[-1]
    assert isinstance(last, RunFailed)
    assert (last.error, last.message, last.step, events[-1]) == ("TrainingError", error.message, step - 1, last)
    assert [one.loss > 1 for one in events if isinstance(one, StepFinished)] == [True] * (step - 1)


def test_a_held_out_loss_that_is_not_a_number_is_never_told_as_one(tmp_path: Path) -> None:
    held_out = write_rows(tmp_path / "test.jsonl", [*greetings(2), {"prompt": "hi ~", "completion": "ok"}])
    source = f'data.evaluation_sources=[{{path="{held_out}"}}]'
    error, events = failing(tmp_path, source, model=write_broken_model(tmp_path / "model"))
    assert error.message == f"Step 0: the held-out loss is nan (row {held_out}:3)."
    assert not [one for one in events if isinstance(one, EvalFinished)]


def test_a_bug_is_logged_and_journaled_and_raised(tmp_path: Path) -> None:
    events = run(recipe_in(tmp_path), Controls())
    for event in events:
        if isinstance(event, StepFinished):
            break
    failed = events.throw(ZeroDivisionError("a library broke"))  # type: ignore[attr-defined]
    assert (failed.error, failed.message, failed.step) == ("ZeroDivisionError", "a library broke", 1)
    with pytest.raises(ZeroDivisionError):
        next(events)
    folder = tmp_path / "runs" / "one"
    assert list(read_events(folder))[-1] == failed
    assert "Traceback" in (folder / "log.txt").read_text()
    assert "ZeroDivisionError: a library broke" in (folder / "log.txt").read_text()


def test_a_full_disk_stops_the_run_without_half_a_folder(tmp_path: Path, small_files: None) -> None:
    del small_files
    error, events = failing(tmp_path, "adapter.rank=64", model=tmp_path / "model")
    assert isinstance(error, MachineError)
    assert "step-000002 could not be written" in error.message
    assert "File too large" in error.message
    folder = tmp_path / "runs" / "one"
    assert list((folder / "checkpoints").iterdir()) == []
    assert not (folder / "adapter").exists()
    assert list(read_events(folder))[-1] == events[-1]
    assert isinstance(events[-1], RunFailed)


def test_weights_that_are_missing_are_refused_and_not_made_up(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", "stablelm")
    tensors = load_file(model / "model.safetensors")
    del tensors["model.norm.weight"]
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    error, events = failing(tmp_path, model=model)
    assert isinstance(error, ModelError)
    assert error.message == f"{model} lacks 1 of the model's weights, first model.norm.weight."
    assert isinstance(events[-1], RunFailed)


def test_a_tokenizer_beyond_the_models_vocabulary_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", vocab_size=200)
    error, events = failing(tmp_path, model=model)
    assert isinstance(error, ModelError)
    assert "rows.jsonl:" in error.message
    assert "the model's vocabulary ends at 200" in error.message
    assert not [one for one in events if isinstance(one, RunFailed)]
    assert not (tmp_path / "runs").exists()


def test_a_name_that_is_taken_is_refused_and_the_run_there_stays(tmp_path: Path) -> None:
    first = train(tmp_path)
    before = (first.folder / "events.jsonl").read_bytes()
    error, _ = failing(tmp_path)
    assert isinstance(error, RunError)
    assert (first.folder / "events.jsonl").read_bytes() == before


def test_bad_labels_stop_a_run_before_its_folder_exists(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": "user", "content": "hi"}]}]
    error, _ = failing(tmp_path, f"data.sources[0].path={write_rows(tmp_path / 'bad.jsonl', rows)}")
    assert isinstance(error, DataError)
    assert not (tmp_path / "runs").exists()


def test_an_adapter_that_learned_nothing_fails_its_proof_and_the_run(tmp_path: Path) -> None:
    error, events = failing(tmp_path, "optimizer.learning_rate=1e-30")
    assert isinstance(error, TrainingError)
    assert error.message.startswith("The proof failed: this adapter does nothing")
    assert [type(one) for one in events[-2:]] == [ProofFinished, RunFailed]
