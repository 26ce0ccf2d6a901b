"""Rows and adapters that all systems of a case take."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.plans import llama_plan
from tui_tuner.engine.bench.peers.cases import Case, chosen_cases
from tui_tuner.engine.bench.peers.made_rows import LENGTHS, read_lengths, write_adapter, write_rows
from tui_tuner.errors import DataError

VOCABULARY = 500


def made(folder: Path, case: Case, lengths: Path | None = None) -> dict[str, np.ndarray]:
    write_rows(folder / "rows.npz", case, VOCABULARY, lengths)
    with np.load(folder / "rows.npz") as arrays:
        return dict(arrays)


def case(name: str) -> Case:
    return chosen_cases((name,))[0]


def test_steps_have_whole_batches_of_one_length(tmp_path: Path) -> None:
    rows = made(tmp_path, case("tiny-default"))
    assert rows["lengths"].tolist() == [64] * 8
    assert rows["trained"].all()
    assert rows["ids"].min() >= 0 and rows["ids"].max() < VOCABULARY


@pytest.mark.parametrize("name", ["real-1b-gsm8k", "real-1b-oasst"])
def test_drawn_lengths_have_the_mean_of_the_data_set(tmp_path: Path, name: str) -> None:
    chosen = case(name)
    assert chosen.lengths is not None
    rows, wanted = made(tmp_path, chosen), LENGTHS[chosen.lengths]
    assert rows["lengths"].mean() == pytest.approx(wanted.mean, rel=0.1)
    assert rows["trained"].mean() == pytest.approx(wanted.trained_share, abs=0.02)


def test_what_is_trained_stands_at_the_end_of_each_row(tmp_path: Path) -> None:
    rows = made(tmp_path, case("real-1b-gsm8k"))
    first = rows["trained"][: rows["lengths"][0]]
    assert not first[0] and first[-1]
    assert (np.diff(first.astype(int)) != 0).sum() == 1


def test_two_makings_are_equal(tmp_path: Path) -> None:
    one, other = made(tmp_path, case("real-8b-oasst")), made(tmp_path, case("real-8b-oasst"))
    assert all(np.array_equal(one[name], other[name]) for name in ("ids", "trained", "lengths"))


def test_lengths_come_from_lines(tmp_path: Path) -> None:
    path = tmp_path / "lengths.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in ({"length": 40, "trained": 10}, {"length": 60})))
    lengths, trained = read_lengths(path, 0.5)
    assert (lengths.tolist(), trained.tolist()) == ([40, 60], [10, 30])


def test_lengths_come_from_arrays_with_the_mask_of_each_token(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", lens=[3, 2], mask=[0, 1, 1, 0, 1])
    lengths, trained = read_lengths(tmp_path / "rows.npz", 0.5)
    assert (lengths.tolist(), trained.tolist()) == ([3, 2], [2, 1])


def test_rows_are_cut_to_the_longest_that_the_case_takes(tmp_path: Path) -> None:
    path = tmp_path / "lengths.jsonl"
    path.write_text('{"length": 5000, "trained": 2500}\n')
    rows = made(tmp_path, case("real-1b-gsm8k"), path)
    assert rows["lengths"].tolist() == [2048]
    assert rows["trained"].sum() == 1024


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"length": 0}', '{"length": "many"}', "no JSON"])
def test_a_file_without_lengths_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "lengths.jsonl"
    path.write_text(content)
    with pytest.raises(DataError, match="holds no lengths"):
        read_lengths(path, 0.5)


def test_adapters_do_something_from_the_beginning(tmp_path: Path) -> None:
    plan = llama_plan().adapter
    small = plan.model_copy(update={"targets": plan.targets[:2]})
    write_adapter(tmp_path / "adapter.safetensors", small)
    values = load_file(tmp_path / "adapter.safetensors")
    path = small.targets[0].path
    assert set(values) == {f"{one.path}.lora_{side}" for one in small.targets for side in "AB"}
    assert values[f"{path}.lora_B"].shape == (small.targets[0].out_features, small.rank)
    assert 0.01 < values[f"{path}.lora_B"].std() < 0.03
