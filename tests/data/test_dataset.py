"""From recipes to labelled data, and what refuses to start."""

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.data.material import (
    CHATML,
    INSTRUCT,
    processor_seconds,
    recipe_of,
    shared,
    survey,
    tiny_tokenizer,
    write_lines,
    write_questions,
    write_tokenizer,
)
from tui_tuner.data.dataset import LabelledData, label_data
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSource


@pytest.fixture(name="model")
def _model(tmp_path: Path) -> Path:
    return write_tokenizer(tmp_path / "model", CHATML)


def ignore(*step: int) -> None:
    """Nobody watches the progress."""


def labelled(model: Path, path: Path | str, context: int = 4096, **data: Any) -> LabelledData:
    return label_data(recipe_of(path, **data), model, context, ignore)


def test_rows_are_labelled_split_and_counted(tmp_path: Path, model: Path) -> None:
    data = labelled(model, write_questions(tmp_path / "a.jsonl", 40))
    assert (len(data.train), len(data.evaluation), len(data.questions)) == (38, 2, 2)
    facts = data.facts
    assert (facts.num_rows, facts.num_evaluation_rows, facts.num_sequences, facts.is_exact) == (38, 2, 38, True)
    assert facts.num_tokens == sum(example.num_tokens for example in data.train)
    assert facts.num_trained_tokens == sum(example.num_trained for example in data.train)


def test_held_out_rows_come_with_prompt_and_expected_answer(tmp_path: Path, model: Path) -> None:
    data = labelled(model, write_questions(tmp_path / "a.jsonl", 40))
    number = data.evaluation[0].ref.line - 1
    assert data.questions[0].prompt == f"What is {number}?"
    assert data.questions[0].expected == f"It is {number}."


def test_held_out_sources_are_never_trained(tmp_path: Path, model: Path) -> None:
    held_out = DataSource(path=str(write_questions(tmp_path / "b.jsonl", 3)))
    data = labelled(model, write_questions(tmp_path / "a.jsonl", 40), evaluation_sources=(held_out,))
    assert (len(data.train), len(data.evaluation)) == (40, 3)
    assert {Path(example.ref.path).name for example in data.evaluation} == {"b.jsonl"}


def test_end_of_turn_tokens_are_those_that_labels_end_with(tmp_path: Path, model: Path) -> None:
    data = labelled(model, write_questions(tmp_path / "a.jsonl", 3))
    tokenizer = tiny_tokenizer(tmp_path / "same", CHATML)
    assert set(data.end_of_turn_ids) == {tokenizer.special_tokens["<|im_end|>"], tokenizer.eos_id}


def test_hashes_follow_data_and_template(tmp_path: Path, model: Path) -> None:
    path = write_questions(tmp_path / "a.jsonl", 3)
    first, again = labelled(model, path), labelled(model, path)
    assert (first.data_hash, first.template_hash) == (again.data_hash, again.template_hash)
    assert labelled(model, path, chat_template="plain").template_hash != first.template_hash
    assert labelled(model, write_questions(path, 4)).data_hash != first.data_hash


def test_a_bad_row_is_refused_by_place_reason_and_number(tmp_path: Path, model: Path) -> None:
    rows = [
        {"messages": [{"role": role, "content": "a"} for role in roles]}
        for roles in (["user", "assistant"], ["user"], ["user"])
    ]
    path = write_lines(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"a\.jsonl:2: no assistant turn \(roles: user\)\. 1 more row .*on_bad_row"):
        labelled(model, path)


def test_bad_rows_are_dropped_and_listed_on_request(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"prompt": "a", "completion": "b"}\n{"prompt": "a", "completion": ""}\n\xff\n')
    data = labelled(model, path, on_bad_row="drop")
    assert (len(data.train), data.facts.num_dropped) == (1, 2)
    assert [bad.ref.line for bad in data.bad_rows] == [2, 3]


@pytest.mark.parametrize("plan", [True, False])
@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "is empty"),
        (
            "a.jsonl",
            b'{"prompt": "a", "completion": "b"}\n{"prompt": "\xff"}\n',
            r"a\.jsonl:2: invalid UTF-8 at byte 13",
        ),
        ("a.jsonl", b'{"messages": [{"role": "user", "content": "a"}]}', r"a\.jsonl:1: no assistant turn"),
        ("a.jsonl.gz", gzip.compress(b'{"prompt": "a", "completion": "b"}\n' * 99, mtime=0)[:-9], "is cut off"),
        ("a.jsonl", b"\xff\n\xfe\n", r"a\.jsonl:1: .*no row of .* can be read"),
    ],
)
def test_plan_and_run_refuse_the_same_input(
    tmp_path: Path, model: Path, plan: bool, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    recipe = recipe_of(tmp_path / name)
    with pytest.raises(DataError, match=said):
        survey(recipe, model, 4096) if plan else label_data(recipe, model, 4096, ignore)


def test_a_template_that_raises_names_the_row(tmp_path: Path) -> None:
    rows = [{"messages": [{"role": role, "content": "a"} for role in ("assistant", "user", "assistant")]}]
    with pytest.raises(DataError, match=r"a\.jsonl:1: the chat template fails: roles must alternate"):
        labelled(write_tokenizer(tmp_path / "model", INSTRUCT), write_lines(tmp_path / "a.jsonl", rows))


def test_all_labels_masked_by_the_template_refuses_to_start(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "model", "{{ 'nothing' }}")
    with pytest.raises(DataError, match=r"No row trains any token; all 5 were refused.*chat template"):
        labelled(model, write_questions(tmp_path / "a.jsonl", 5), on_bad_row="drop")


def test_all_labels_lost_to_the_length_refuses_to_start(tmp_path: Path, model: Path) -> None:
    with pytest.raises(
        DataError, match=r"within max_length = 16: the shortest row has 39 tokens, and no answer begins"
    ):
        labelled(model, write_questions(tmp_path / "a.jsonl", 5), max_length=16)


@pytest.mark.parametrize(("over_length", "kept", "cut", "dropped"), [("cut", 3, 1, 1), ("drop", 2, 0, 2)])
def test_long_rows_are_cut_or_dropped_and_counted(
    tmp_path: Path, model: Path, over_length: str, kept: int, cut: int, dropped: int
) -> None:
    lengths = [(1, 1), (1, 2), (1, 99), (99, 1)]
    rows = [{"prompt": "q" * prompt, "completion": "a" * answer} for prompt, answer in lengths]
    data = labelled(model, write_lines(tmp_path / "a.jsonl", rows), max_length=64, over_length=over_length)
    facts = data.facts
    assert (len(data.train), facts.num_cut, facts.num_dropped, facts.longest) == (kept, cut, dropped, 121)
    assert max(example.num_tokens for example in data.train) <= 64
    assert len(data.warnings) == cut + 1


def test_documents_are_split_and_lose_nothing(tmp_path: Path, model: Path) -> None:
    (tmp_path / "a.txt").write_text("abcdefghij" * 10)
    data = labelled(model, tmp_path / "a.txt", max_length=32, evaluation_fraction=0.0)
    assert [example.num_tokens for example in data.train] == [32, 32, 32, 5]
    assert data.facts.template == "none: the data is plain text"
    assert sum(example.input_ids.tolist()[-1] == 257 for example in data.train) == 1


@pytest.mark.parametrize(
    ("lengths", "context", "max_length"),
    [
        ([100] * 200, 4096, 128),
        ([100] * 200 + [5000], 4096, 128),
        ([100] * 200 + [200], 4096, 256),
        ([900] * 9, 512, 512),
    ],
)
def test_auto_max_length_covers_the_rows_within_the_context(
    tmp_path: Path, model: Path, lengths: list[int], context: int, max_length: int
) -> None:
    rows = [{"prompt": "", "completion": "a" * length} for length in lengths]
    path = write_lines(tmp_path / "a.jsonl", rows)
    assert labelled(model, path, context, over_length="cut").facts.max_length == max_length


def test_many_short_rows_are_packed(tmp_path: Path, model: Path) -> None:
    rows = [{"prompt": "", "completion": "a" * (200 if n % 20 == 0 else 20)} for n in range(2300)]
    facts = labelled(model, write_lines(tmp_path / "a.jsonl", rows)).facts
    assert facts.packing
    assert facts.num_sequences is not None
    assert facts.num_sequences < facts.num_rows / 2


def test_several_sources_count_by_their_weights(tmp_path: Path, model: Path) -> None:
    paths = [write_questions(tmp_path / name, 10) for name in ("a.jsonl", "b.jsonl")]
    sources = tuple(DataSource(path=str(path), weight=weight) for path, weight in zip(paths, (2.0, 0.5), strict=True))
    facts = labelled(model, paths[0], sources=sources, evaluation_fraction=0.0).facts
    assert (facts.num_rows, facts.num_sequences) == (20, 25)


def test_a_survey_estimates_what_labelling_finds(tmp_path: Path, model: Path) -> None:
    lines = shared("datasets/gsm8k/test.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "a.jsonl").write_bytes(b"".join(lines[:500]))
    recipe = recipe_of(tmp_path / "a.jsonl")
    guess = survey(recipe, model, 4096)
    exact = label_data(recipe, model, 4096, ignore).facts
    assert (guess.num_rows, guess.num_evaluation_rows) == (exact.num_rows, exact.num_evaluation_rows)
    assert guess.num_tokens == pytest.approx(exact.num_tokens, rel=0.1)
    assert guess.num_trained_tokens == pytest.approx(exact.num_trained_tokens, rel=0.1)
    assert not guess.is_exact


@pytest.mark.parametrize("over_length", ["keep_turns", "drop", "cut"])
def test_a_survey_estimates_what_the_length_takes(tmp_path: Path, model: Path, over_length: str) -> None:
    turns = [{"role": role, "content": "x" * 20} for role in ("user", "assistant")]
    rows = [{"messages": turns * count} for count in (1, 1, 3)] + [
        {"messages": [turns[0], {**turns[1], "content": "y" * 90}]}
    ]
    recipe = recipe_of(write_lines(tmp_path / "a.jsonl", rows * 20), max_length=100, over_length=over_length)
    guess, exact = survey(recipe, model, 4096), label_data(recipe, model, 4096, ignore).facts
    assert (guess.num_cut, guess.num_dropped) == (exact.num_cut, exact.num_dropped)
    assert (guess.num_rows, guess.num_evaluation_rows) == (exact.num_rows, exact.num_evaluation_rows)


def test_a_survey_without_a_tokenizer_counts_rows(tmp_path: Path) -> None:
    facts = survey(recipe_of(write_questions(tmp_path / "a.jsonl", 40)), None, 512)
    assert (facts.num_rows, facts.num_evaluation_rows, facts.num_tokens, facts.max_length) == (38, 2, None, 512)
    assert facts.template.startswith("unknown")


def test_a_survey_of_a_real_set_is_quick() -> None:
    recipe, model = recipe_of(shared("datasets/gsm8k/train.jsonl")), shared("tokenizers/mistral-v3")
    began = processor_seconds()
    survey(recipe, model, 4096)
    assert processor_seconds() - began < 4  # takes 0.7 s where nothing else runs


def test_progress_ends_at_the_total(tmp_path: Path, model: Path) -> None:
    path = write_questions(tmp_path / "a.jsonl", 200)
    seen: list[tuple[int, int]] = []
    label_data(recipe_of(path), model, 512, lambda *step: seen.append(step))
    assert len(seen) == 2
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


REAL_SETS = (
    ("fastchat/dummy_conversation.json", "sharegpt", 500),
    ("litgpt_fixtures/dolly.json", "alpaca", 12),
    ("litgpt_fixtures/longform_train.json", "prompt_completion", 17),
    ("oasst/en_100_tree.jsonl", "tree", 100),
    ("oasst/en_100_message.jsonl", "tree", 100),
    ("preference/dpo_en_demo.json", "preference", 300),
    ("text/tinystories_sample.txt", "text", 5),
    ("torchtune_fixtures/alpaca_tiny.json", "alpaca", 100),
    ("torchtune_fixtures/chat_tiny.json", "sharegpt", 1),
    ("torchtune_fixtures/hh_rlhf_tiny.json", "preference", 1),
)


@pytest.mark.parametrize(("name", "shape", "rows"), REAL_SETS)
def test_real_sets_are_labelled_whole(name: str, shape: str, rows: int) -> None:
    data = labelled(shared("models/stories260K_hf"), shared(f"datasets/{name}"), context=100_000)
    assert (data.facts.sources[0].shape, data.facts.sources[0].num_rows) == (shape, rows)
    assert (len(data.train) + len(data.evaluation), data.facts.num_dropped, data.facts.num_cut) == (rows, 0, 0)
    assert all(example.num_trained > 0 for example in data.train)


def test_nothing_here_imports_torch_or_transformers() -> None:
    program = "import sys, tui_tuner.data.dataset; print([n for n in ('torch', 'transformers') if n in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
