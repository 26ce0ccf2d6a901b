"""Checkpoints come when they should, the last ones and the best one stay, and each is a whole adapter."""

from pathlib import Path

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM

from tests.engine.tiny_runs import train, write_rows
from tui_tuner.events import CheckpointSaved, EvalFinished

EVERY_STEP = ("training.save_every=1", "training.evaluate_every=1", "data.evaluation_fraction=0.2")


@pytest.mark.parametrize("keep", [1, 2])
def test_the_last_checkpoints_and_the_best_are_kept(tmp_path: Path, keep: int) -> None:
    unlike = write_rows(tmp_path / "unlike.jsonl", [{"prompt": "hi ann", "completion": "Q" * 40}])
    settings = (f'data.evaluation_sources=[{{path="{unlike}"}}]', f"training.keep_checkpoints={keep}")
    whole = ('adapter.modules_to_save=["embed_tokens", "lm_head"]', "optimizer.embedding_learning_rate=0.1")
    done = train(tmp_path, *EVERY_STEP, *settings, *whole, "training.max_steps=5")
    saved = done.of(CheckpointSaved)
    best = min(saved, key=lambda one: one.loss or 0.0)
    assert best.step < 5 - keep, "the test needs a run that gets worse"
    folders = {str(path) for path in (done.folder / "checkpoints").iterdir()}
    assert folders == {best.path, *(one.path for one in saved[-keep:])}
    assert [one.step for one in saved if one.is_best][-1] == best.step


def test_each_checkpoint_is_an_adapter_that_peft_loads(tmp_path: Path) -> None:
    done = train(tmp_path, *EVERY_STEP)
    for one in done.of(CheckpointSaved):
        base = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
        assert PeftModel.from_pretrained(base, one.path).peft_config["default"].r == 4


def test_evaluations_and_checkpoints_come_when_the_recipe_says(tmp_path: Path) -> None:
    every = ("training.save_every=3", "training.evaluate_every=2", "training.max_steps=7")
    done = train(tmp_path, *every, "data.evaluation_fraction=0.2")
    assert [one.step for one in done.of(EvalFinished)] == [0, 2, 4, 6, 7]
    assert [one.step for one in done.of(CheckpointSaved)] == [3, 6, 7]


def test_a_checkpoint_carries_the_loss_of_its_own_step_only(tmp_path: Path) -> None:
    every = ("training.save_every=1", "training.evaluate_every=2", "data.evaluation_fraction=0.2")
    done = train(tmp_path, *every, "training.max_steps=2")
    first, second = done.of(CheckpointSaved)
    assert (first.loss, first.is_best) == (None, False)
    assert (second.loss, second.is_best) == (done.eval_losses[-1], True)
