"""Every kind of data reaches the loop: text, preference pairs, several sources, held-out sources, packed rows."""

import json
from pathlib import Path

import pytest

from tests.engine.tiny_runs import greetings, train, write_rows
from tests.tiny import byte_tokenizer, write_tiny_model
from tui_tuner.events import DataReady, EvalFinished, SampleGenerated, StepFinished

LETTER = "dear reader, this is a letter.\n" * 6


def test_plain_text_is_trained_from_its_first_to_its_last_token(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text(LETTER)
    done = train(tmp_path, f"data.sources[0].path={tmp_path / 'letter.txt'}", "data.max_length=64")
    (ready,) = done.of(DataReady)
    assert ready.data.sources[0].shape == "text"
    assert ready.data.num_tokens == len(LETTER) + 1
    assert done.losses[1] < done.losses[0]


def test_text_for_a_model_without_any_special_token_trains_and_answers(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text(LETTER)
    model = write_tiny_model(tmp_path / "model")
    plain = byte_tokenizer(None)
    (model / "tokenizer.json").write_text(plain.backend_tokenizer.to_str())
    tokenizer = json.loads((model / "tokenizer.json").read_text()) | {"added_tokens": []}
    (model / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("tokenizer_config.json", "generation_config.json"):
        (model / name).write_text("{}")
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"eos_token_id": None, "bos_token_id": None}))
    held_out = ("data.max_length=64", "data.evaluation_fraction=0.4")
    done = train(tmp_path, f"data.sources[0].path={tmp_path / 'letter.txt'}", *held_out, model=model)
    assert not any(one.stopped for one in done.of(SampleGenerated))


def test_of_a_preference_pair_the_chosen_answer_is_trained(tmp_path: Path) -> None:
    pairs = [{"prompt": row["prompt"], "chosen": row["completion"], "rejected": "no"} for row in greetings()]
    chosen = train(tmp_path, f"data.sources[0].path={write_rows(tmp_path / 'pairs.jsonl', pairs)}")
    plain = train(tmp_path, "output.name=plain")
    assert chosen.of(DataReady)[0].data.sources[0].shape == "preference"
    assert chosen.losses == plain.losses


def test_weights_say_how_often_the_rows_of_a_source_are_seen(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", greetings())
    long = write_rows(tmp_path / "long.jsonl", [{"prompt": "hi", "completion": "x" * 90}] * 4)
    sources = f'data.sources=[{{path="{rows}", weight=0.5}}, {{path="{long}", weight=3}}]'
    done = train(tmp_path, sources, "training.micro_batch_size=18", "training.gradient_accumulation=1")
    first, second = done.of(StepFinished)
    assert (first.epoch, second.epoch) == (1.0, 2.0)
    # Each epoch has the long rows three times, and both together each greeting once.
    greeted = sum(len(str(row["completion"])) + 1 for row in greetings())
    assert first.trained_tokens + second.trained_tokens == 2 * 4 * 3 * 91 + greeted


def test_held_out_sources_replace_the_split(tmp_path: Path) -> None:
    held_out = write_rows(tmp_path / "test.jsonl", greetings(3))
    done = train(tmp_path, f'data.evaluation_sources=[{{path="{held_out}"}}]', "data.evaluation_fraction=0.2")
    (ready,) = done.of(DataReady)
    assert (ready.data.num_rows, ready.data.num_evaluation_rows) == (12, 3)
    assert {one.rows for one in done.of(EvalFinished)} == {3}


def test_packed_rows_train_as_the_same_rows_unpacked(tmp_path: Path) -> None:
    whole = ("training.gradient_accumulation=1", "training.micro_batch_size=12", "data.max_length=96")
    unpacked = train(tmp_path, *whole)
    packed = train(tmp_path, *whole, "data.packing=true", "output.name=packed")
    assert packed.of(DataReady)[0].data.num_sequences == 4
    assert packed.losses == pytest.approx(unpacked.losses, abs=1e-5)


def test_prompts_of_the_recipe_are_answered_without_any_held_out_rows(tmp_path: Path) -> None:
    done = train(tmp_path, 'training.sample_prompts=["hi ann", "who are you?"]', "training.evaluate_every=1")
    samples = done.of(SampleGenerated)
    assert [(one.step, one.prompt) for one in samples] == [
        (step, prompt) for step in (0, 1, 2) for prompt in ("hi ann", "who are you?")
    ]
    assert {one.expected for one in samples} == {None}


def test_exact_match_counts_answers_that_are_right_and_end(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "same.jsonl", [{"prompt": f"hi {name}", "completion": "ok"} for name in "abcdefgh"])
    learn = ("training.max_steps=25", "training.micro_batch_size=6", "optimizer.learning_rate=0.02")
    done = train(
        tmp_path, f"data.sources[0].path={rows}", *learn, "adapter.method=full", "training.exact_match_rows=2",
        "data.evaluation_fraction=0.25", "optimizer.schedule=constant", "training.gradient_accumulation=1",
    )  # fmt: skip
    assert [one.metrics["exact_match"] for one in done.of(EvalFinished)] == [0.0, 1.0]


def test_answers_stay_within_learned_positions(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", "opt", ffn_dim=48, word_embed_proj_dim=32, max_position_embeddings=48)
    samples = ("data.evaluation_fraction=0.2", "training.sample_tokens=64", "training.max_steps=1")
    done = train(tmp_path, *samples, model=model)
    assert len(done.of(SampleGenerated)) == 4
