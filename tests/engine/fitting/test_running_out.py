"""A step that runs out of memory is taken again with less at once, and the run ends where it would have ended."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

from tests.engine.tiny_runs import Done, folded, greetings, recipe_in, train, write_rows
from tui_tuner.controls import Controls
from tui_tuner.engine.resume import resume
from tui_tuner.engine.run import run
from tui_tuner.errors import MachineError
from tui_tuner.events import CheckpointSaved, MemoryExceeded, RunFailed, StepFinished, TrainEvent
from tui_tuner.journal import read_events

STEPS = (
    "training.max_steps=4",
    "training.micro_batch_size=4",
    "training.gradient_accumulation=2",
    "data.shuffle=false",
)
SMALL = (*STEPS[:1], "training.micro_batch_size=2", "training.gradient_accumulation=4", "data.shuffle=false")


@contextmanager
def room_for(tokens: int, *, after: int = 0, while_training: bool = True) -> Iterator[None]:
    """A device on which the forward pass of more tokens than that runs out of memory; the first passes go through."""
    seen = 0

    def check(module: nn.Module, given: Any) -> None:
        nonlocal seen
        if module.training == while_training and isinstance(module, nn.Embedding):
            seen += 1
            if seen > after and given[0].numel() > tokens:
                raise torch.OutOfMemoryError(f"no room for {given[0].numel()} tokens")

    hook = register_module_forward_pre_hook(check)
    yield
    hook.remove()


def rows_of_one_length(folder: Path) -> None:
    write_rows(folder / "rows.jsonl", [{"prompt": f"hi {chr(97 + index)}", "completion": "ok"} for index in range(16)])


def tokens_of_a_row(done: Done) -> int:
    return done.of(StepFinished)[0].tokens // 8


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The run that had small micro-batches from the start."""
    folder = tmp_path_factory.mktemp("small")
    rows_of_one_length(folder)
    return train(folder, *SMALL)


@pytest.mark.parametrize("same", [(), ("acceleration.kernels=off", "adapter.dropout=0.1")])
def test_the_first_step_taken_again_is_that_of_a_smaller_micro_batch_bit_for_bit(
    tmp_path: Path, same: tuple[str, ...]
) -> None:
    for name in ("small", "large"):
        (tmp_path / name).mkdir()
        rows_of_one_length(tmp_path / name)
    small = train(tmp_path / "small", *SMALL, *same)
    with room_for(2 * tokens_of_a_row(small)):
        large = train(tmp_path / "large", *STEPS, *same)
    (exceeded,) = large.of(MemoryExceeded)
    assert (exceeded.step, exceeded.fit.rows, exceeded.words) == (1, 2, "micro-batches of 2 sequences")
    assert large.losses == small.losses
    assert all(torch.equal(tensor, small.adapter[name]) for name, tensor in large.adapter.items())


def test_a_later_step_goes_on_with_the_schedule(tmp_path: Path, small: Done) -> None:
    rows_of_one_length(tmp_path)
    # Two micro-batches a step: the second of step 3 fails, when gradients of the first are there already.
    with room_for(2 * tokens_of_a_row(small), after=5):
        large = train(tmp_path, *STEPS)
    assert [one.step for one in large.of(MemoryExceeded)] == [3]
    assert folded(tuple(read_events(large.folder))).exceeded == tuple(large.of(MemoryExceeded))
    steps, wanted = large.of(StepFinished), small.of(StepFinished)
    assert [(one.step, one.tokens, one.learning_rate) for one in steps] == [
        (one.step, one.tokens, one.learning_rate) for one in wanted
    ]
    assert large.losses == pytest.approx(small.losses, rel=1e-5)
    assert all(torch.allclose(tensor, small.adapter[name], atol=1e-5) for name, tensor in large.adapter.items())


def test_a_packed_sequence_is_cut_between_its_documents(tmp_path: Path) -> None:
    packed = ("data.packing=true", "data.max_length=96", "training.micro_batch_size=1")
    whole = train(tmp_path, *packed, "output.name=whole")
    with room_for(64):
        cut = train(tmp_path, *packed)
    assert [one.words for one in cut.of(MemoryExceeded)] == ["packed sequences in 2 parts"]
    assert cut.losses == pytest.approx(whole.losses, rel=1e-5)


def test_a_single_row_that_does_not_fit_lets_layers_keep_less_and_then_ends_the_run(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", greetings())
    events: list[TrainEvent] = []
    with room_for(3), pytest.raises(MachineError) as caught:
        for event in run(recipe_in(tmp_path, *STEPS), Controls()):
            events.append(event)  # noqa: PERF402 - what came before the error counts
    fits = [one.fit for one in events if isinstance(one, MemoryExceeded)]
    assert [(one.rows, one.recompute) for one in fits] == [(2, None), (1, None), (1, "layers")]
    assert "Step 1 does not fit the machine's memory" in caught.value.message
    assert "data.max_length" in caught.value.hint
    assert isinstance(events[-1], RunFailed)


def test_a_run_that_was_resumed_keeps_to_what_fitted(tmp_path: Path, small: Done) -> None:
    rows_of_one_length(tmp_path)
    saving = ("training.save_every=2", "training.keep_checkpoints=4")
    room = 2 * tokens_of_a_row(small)
    with room_for(room):
        whole = train(tmp_path, *STEPS, *saving, "output.name=whole")
        begun = run(recipe_in(tmp_path, *STEPS, *saving), Controls())
        next(one for one in begun if isinstance(one, CheckpointSaved))
        assert isinstance(begun, Generator)
        begun.close()
        rest = Done(tmp_path / "runs/one", tuple(resume(tmp_path / "runs/one", Controls())))
    assert not rest.of(MemoryExceeded)
    assert rest.losses == whole.losses[2:]
    assert all(torch.equal(tensor, whole.adapter[name]) for name, tensor in rest.adapter.items())


def test_an_evaluation_that_does_not_fit_takes_fewer_rows_at_once(tmp_path: Path) -> None:
    settings = (*STEPS, "data.evaluation_fraction=0.3", "training.sample_prompts=[]", "output.name=whole")
    whole = train(tmp_path, *settings)
    with room_for(60, while_training=False):
        halved = train(tmp_path, *settings, "output.name=halved")
    assert halved.eval_losses == pytest.approx(whole.eval_losses, rel=1e-6)
    assert halved.losses == whole.losses
