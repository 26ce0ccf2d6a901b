"""Rows of a source in a stream: the shape from the first ones, the hash of what was read."""

import gzip
import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.data.material import write_lines
from tui_tuner.data.rows import BadRow, Conversation
from tui_tuner.data.source_samples import SourceReader
from tui_tuner.recipe import DataSource

ROWS = [{"prompt": f"q{number}", "completion": "a" * 50} for number in range(3000)]


def write(path: Path) -> Path:
    match path.suffix:
        case ".parquet":
            pa.parquet.write_table(pa.Table.from_pylist(ROWS), path)
        case ".csv":
            path.write_text("prompt,completion\n" + "".join(f"{row['prompt']},{row['completion']}\n" for row in ROWS))
        case ".gz":
            path.write_bytes(gzip.compress(write_lines(path.with_suffix(""), ROWS).read_bytes()))
        case _:
            write_lines(path, ROWS)
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.jsonl.gz", "a.parquet"])
def test_files_are_hashed_as_they_are_read(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)
    digest = hashlib.sha256()
    reader = SourceReader(DataSource(path=str(path)), digest)
    assert sum(isinstance(sample, Conversation) for sample in reader.samples()) == 3000
    assert digest.digest() == hashlib.sha256(hashlib.sha256(path.read_bytes()).digest()).digest()
    assert reader.bytes_read == reader.num_bytes == path.stat().st_size


def test_rows_come_before_the_file_is_read_to_its_end(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "a.jsonl", ROWS * 5)
    reader = SourceReader(DataSource(path=str(path)), hashlib.sha256())
    next(reader.samples())
    assert 0 < reader.bytes_read < path.stat().st_size


def test_the_shape_is_told_from_sound_rows_and_bad_ones_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('nonsense\n{"prompt": "a", "completion": "b"}\n[]\n{"prompt": "a", "completion": "b"}\n')
    reader = SourceReader(DataSource(path=str(path)), hashlib.sha256())
    assert [isinstance(row, BadRow) for row in reader.samples()] == [True, False, True, False]
    facts = reader.facts()
    assert (facts.shape, facts.num_rows, facts.files) == ("prompt_completion", 4, (str(path),))
