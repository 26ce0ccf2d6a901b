"""The token rows that all systems of a case take, and the first values of their adapters: made once, read by each."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tui_tuner.engine.bench.peers.cases import Case, LengthSet
from tui_tuner.errors import DataError
from tui_tuner.plan import AdapterPlan

FIRST_ID = 8
"""Below are a tokenizer's special tokens."""
IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
STEP_BATCHES = 2
REAL_ROWS = 1200


@dataclass(frozen=True, slots=True)
class _Lengths:
    """Rows of a data set, as a log-normal distribution of their tokens."""

    mean: float
    deviation: float
    """Of the logarithm."""
    trained_share: float


# 4,000 rows of gsm8k and 400 conversations of OpenAssistant through a tokenizer of 151,643 tokens and ChatML.
LENGTHS: dict[LengthSet, _Lengths] = {
    "gsm8k": _Lengths(192, 0.338, 0.64),
    "oasst": _Lengths(396, 0.750, 0.79),
}
SHORTEST = 24


def write_rows(path: Path, case: Case, vocab_size: int, lengths_file: Path | None = None) -> None:
    """Random tokens of the case's lengths.

    Raises:
        DataError: the file of lengths cannot be used.
    """
    generator = np.random.default_rng(0)
    if case.kind == "real lengths":
        write_ragged(path, case, vocab_size, lengths_file)
        return
    count = STEP_BATCHES * case.rows * case.accumulation
    lengths = np.full(count, case.length, dtype=np.int64)
    ids = generator.integers(FIRST_ID, vocab_size, lengths.sum())
    _save(path, ids, np.ones(len(ids), dtype=np.bool_), lengths)


def write_ragged(path: Path, case: Case, vocab_size: int, lengths_file: Path | None) -> None:
    """Rows of the file's lengths, else of the distribution of the case's data set; what is trained stands last.

    Raises:
        DataError: the file cannot be used.
    """
    assert case.lengths is not None
    generator, facts = np.random.default_rng(0), LENGTHS[case.lengths]
    if lengths_file is None:
        centre = np.log(facts.mean) - facts.deviation**2 / 2
        lengths = generator.lognormal(centre, facts.deviation, REAL_ROWS).astype(np.int64)
        trained_counts = (lengths * facts.trained_share).astype(np.int64)
    else:
        lengths, trained_counts = read_lengths(lengths_file, facts.trained_share)
    share = trained_counts / lengths
    lengths = lengths.clip(min(SHORTEST, case.length), case.length)
    trained_counts = np.maximum(2, lengths * share).astype(np.int64)
    places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    trained = places >= np.repeat(lengths - trained_counts, lengths)
    _save(path, generator.integers(FIRST_ID, vocab_size, lengths.sum()), trained, lengths)


def read_lengths(path: Path, trained_share: float) -> tuple[IntArray, IntArray]:
    """Tokens and trained tokens of each row, from a .npz (`lens` or `lengths`, and `mask` of all tokens) or a .jsonl
    ({"length": 120, "trained": 80}).

    Raises:
        DataError: there is nothing of that in the file.
    """
    try:
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
            lengths = np.array([row["length"] for row in rows], dtype=np.int64)
            trained = np.array([row.get("trained", row["length"] * trained_share) for row in rows], dtype=np.int64)
        else:
            with np.load(path) as arrays:
                lengths = arrays["lens" if "lens" in arrays else "lengths"].astype(np.int64)
                trained = (lengths * trained_share).astype(np.int64)
                if "mask" in arrays:
                    trained = np.add.reduceat(arrays["mask"].astype(np.int64), np.cumsum(lengths) - lengths)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no lengths: {error}.", 'Give a .jsonl with lines such as {"length": 120, "trained": 80}.'
        ) from error
    if not len(lengths) or lengths.min() < 1:
        raise DataError(f"{path} holds no lengths above 0.", "Give one row a line.")
    return lengths, trained


def write_adapter(path: Path, adapter: AdapterPlan) -> None:
    """A as PEFT draws it; B not of zeros, so that A has a gradient, but small."""
    generator = np.random.default_rng(1)
    values = {}
    for target in adapter.targets:
        bound = target.in_features**-0.5
        values[f"{target.path}.lora_A"] = generator.uniform(-bound, bound, (adapter.rank, target.in_features))
        values[f"{target.path}.lora_B"] = 0.02 * generator.standard_normal((target.out_features, adapter.rank))
    save_file({name: value.astype(np.float32) for name, value in values.items()}, path)


def _save(
    path: Path, ids: IntArray, trained: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], lengths: IntArray
) -> None:
    np.savez(path, ids=ids.astype(np.int32), trained=trained, lengths=lengths.astype(np.int64))
