"""Examples on disk: equal to what was put in, and memory that does not grow with the data."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.data.material import write_lines, write_tokenizer
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import RowRef
from tui_tuner.data.store.example_store import ExampleStore, StoredExamples, stored
from tui_tuner.data.store.hash_set import HashSet


def example(length: int, answer: int, own_prompt: bool = False, line: int = 1) -> LabelledExample:
    """Token ids from 0 on; those from `answer` on are trained."""
    ids = np.arange(length, dtype=np.int32)
    labels = np.where(ids >= answer, ids, np.int32(NOT_TRAINED))
    prompt = np.arange(500, 503, dtype=np.int32) if own_prompt else ids[:answer]
    return LabelledExample(
        ref=RowRef("a.jsonl", line), kind="conversation", input_ids=ids, labels=labels, prompt_ids=prompt,
        answer_start=answer, question="\u00e9\ud83d?", source=2,
    )  # fmt: skip


@pytest.mark.parametrize("own_prompt", [True, False])
def test_an_example_comes_back_as_it_was(own_prompt: bool) -> None:
    put = example(7, 3, own_prompt)
    got = stored([example(2, 1), put, example(3, 1)])[1]
    for name in ("input_ids", "labels", "prompt_ids"):
        assert np.array_equal(getattr(put, name), getattr(got, name))
    for name in ("ref", "kind", "answer_start", "question", "source"):
        assert getattr(put, name) == getattr(got, name)


def test_examples_tell_their_numbers_without_being_read() -> None:
    examples = stored([example(length, 2) for length in (4, 7, 3)])
    assert examples.lengths.tolist() == [4, 7, 3]
    assert examples.num_trained.tolist() == [one.num_trained for one in examples] == [2, 5, 1]
    assert (examples.sources.tolist(), examples.largest_id) == ([2, 2, 2], 6)


def test_a_store_grows_while_it_is_read() -> None:
    store = ExampleStore()
    for length in range(2, 50):
        number = store.append(example(length, 1))
        assert store.read(number).num_tokens == length
        assert store.read(0).num_tokens == 2


def test_a_part_of_the_examples_keeps_its_own_order() -> None:
    examples = stored([example(length, 1) for length in (4, 7, 3, 5)]).at(np.array([3, 1]))
    assert [one.num_tokens for one in examples] == [5, 7]
    assert [one.num_tokens for one in examples[1:]] == [7]


def test_a_hash_set_holds_what_a_set_holds() -> None:
    values = np.random.PCG64(1).random_raw(5000).tolist()
    ours, theirs = HashSet(), set()
    for value in (*values, *values[::3]):
        assert ours.add(value) == (value not in theirs)
        theirs.add(value)
    assert len(ours) == len(theirs) > 1024
    assert all(value in ours for value in values)
    assert values[0] + 1 not in ours


MEASURE = """
import resource, sys
from pathlib import Path
from tests.data.material import recipe_of
from tui_tuner.data.dataset import label_data
data = label_data(recipe_of(sys.argv[1], packing=True), Path(sys.argv[2]), 4096, lambda *_: None)
print(data.facts.num_tokens, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_memory_does_not_grow_with_the_data(tmp_path: Path) -> None:
    model = write_tokenizer(tmp_path / "model")
    peaks = []
    for count in (150, 950):
        rows = [{"prompt": f"{number} " + "q" * 1000, "completion": "a" * 1000} for number in range(count)]
        path = write_lines(tmp_path / "a.jsonl", rows)
        command = [sys.executable, "-c", MEASURE, str(path), str(model)]
        environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
        output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        num_tokens, peak = map(int, output.stdout.split())
        assert num_tokens > 1900 * count
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 10  # in lists it would be 20 MiB for the 1.6 million tokens more


def test_files_have_no_names(tmp_path: Path) -> None:
    store = ExampleStore(tmp_path)
    store.append(example(5, 2))
    assert len(StoredExamples(store, np.array([0]))) == 1
    assert not list(tmp_path.iterdir())
