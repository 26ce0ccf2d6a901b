"""What comes out of data files, and what is said of broken ones."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.data.material import write_lines
from tui_tuner.data.readers import read_rows
from tui_tuner.data.rows import BadRow, SourceRow
from tui_tuner.errors import DataError
from tui_tuner.recipe import DataSource

ROWS = [{"text": "eins"}, {"text": "zwei, \u00fc\U0001f642"}, {"text": 'drei "drei"\nund'}]


def read(path: Path, split: str = "train") -> list[SourceRow | BadRow]:
    return list(read_rows(DataSource(path=str(path), split=split)))


def fields(path: Path, split: str = "train") -> list[object]:
    return [dict(row.fields) if isinstance(row, SourceRow) else row.reason for row in read(path, split)]


def reason(path: Path) -> str:
    (bad,) = [row for row in read(path) if isinstance(row, BadRow)]
    return str(bad).removeprefix(str(path))


def write_json(path: Path) -> None:
    path.write_text(json.dumps(ROWS, indent=1))


def test_a_file_of_lines_may_begin_with_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('[1]\n{"text": "zwei"}\n')
    assert fields(path) == ["the row is an array, not an object", {"text": "zwei"}]


def write_csv(path: Path) -> None:
    path.write_text('text\neins\n"zwei, \u00fc\U0001f642"\n"drei ""drei""\nund"\n', encoding="utf-8")


def write_parquet(path: Path) -> None:
    pyarrow.parquet.write_table(pa.Table.from_pylist(ROWS), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.jsonl": lambda path: write_lines(path, ROWS),
    "a.json": write_json,
    "lines.json": lambda path: write_lines(path, ROWS),
    "array.jsonl": write_json,
    "wrapped.json": lambda path: path.write_text(json.dumps({"version": 1, "data": ROWS})),
    "a.csv": write_csv,
    "a.parquet": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("gzipped", [False, True])
def test_every_format_gives_the_same_rows(tmp_path: Path, name: str, gzipped: bool) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    if gzipped:
        content = path.read_bytes()
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress(content))
    assert fields(path) == ROWS


def test_lines_are_named_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\n{"a": 1}\n\n{"a": 2}\n')
    assert [str(row.ref) for row in read(path)] == [f"{path}:2", f"{path}:4"]


def test_csv_rows_are_named_by_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text\n"one\ntwo"\nthree\n')
    assert [row.ref.line for row in read(path)] == [2, 4]


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n')
    assert fields(path) == [{"a": 1}]


def test_a_text_file_is_one_document_unless_separators_stand_in_it(tmp_path: Path) -> None:
    whole, parted = tmp_path / "whole.txt", tmp_path / "parted.txt"
    whole.write_text("one\n\ntwo\n")
    parted.write_text("one\n<|endoftext|>\ntwo\nthree\n<|endoftext|>\n")
    assert fields(whole) == [{"text": "one\n\ntwo\n"}]
    assert [(row.ref.line, row.fields) for row in read(parted) if isinstance(row, SourceRow)] == [
        (1, {"text": "one\n"}),
        (3, {"text": "two\nthree\n"}),
    ]


def test_a_conversation_in_one_json_object_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "a"}]}, indent=2))
    assert fields(path) == [{"messages": [{"role": "user", "content": "a"}]}]


def test_a_folder_keeps_its_test_set_out_of_training(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", ROWS[:1])
    write_lines(tmp_path / "test.jsonl", ROWS[1:2])
    assert (fields(tmp_path), fields(tmp_path, "test")) == (ROWS[:1], ROWS[1:2])


def test_a_saved_dataset_is_read(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "one"))
    parts = {"train": datasets.Dataset.from_list(ROWS[:2]), "test": datasets.Dataset.from_list(ROWS[2:])}
    datasets.DatasetDict(parts).save_to_disk(str(tmp_path / "two"))
    assert fields(tmp_path / "one") == ROWS
    assert fields(tmp_path / "two", "test") == ROWS[2:]


def test_a_missing_split_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": datasets.Dataset.from_list(ROWS)}).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(DataError, match=r'no split "tain".*split = "train"'):
        read(tmp_path / "set", "tain")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"a": "\xff"}', ":2: invalid UTF-8 at byte 8 of the line (0xff)"),
        (b'{"a": 1', ":2: JSON is cut off at column 8"),
        (b'{"a": "b', ":2: JSON is cut off in the text that begins at column 7"),
        (b'{"a": 1,}', ":2: invalid JSON"),
        (b"[1]x", ":2: invalid JSON (Extra data) at column 4"),
        (b"7", ":2: the row is a number, not an object"),
        (b'{"a": "\\ud83d"}', ":2: a text holds half of a character"),
        (b"[" * 100_000, ":2: JSON is nested too deeply"),
        (b'{"a": [{"b": 1, "c": 2, "b": 3}]}', ':2: an object names the key "b" twice'),
    ],
)
def test_a_bad_line_is_named_with_place_and_reason(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n' + line + b"\n")
    assert reason(path).startswith(said)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"", "is empty"),
        ("a.jsonl", b"\n \n", "only blank lines"),
        ("a.json", b"[]", "empty array"),
        ("a.json", b'[\n{"a": 1},\n{"a"}]', r"a.json:3: invalid JSON .* at column 5"),
        ("a.json", b'[\n{"a": "\xff"}]', r"a.json:2: invalid UTF-8 at byte 8 of the line"),
        ("a.json", b'{\n"a": [1], "b": [2]}', "an object with 2 arrays"),
        ("a.json", b'{"a": [1], "a": [2]}', 'an object names the key "a" twice'),
        ("a.csv", b"a,b,a\n1,2,3\n", 'a.csv:1: the header names the column "a" twice'),
        ("a.csv", b"text\n", "a header and no rows"),
        ("a.csv", b'text\n"open\n', r"a.csv:2: unexpected end of data"),
        ("a.txt", b"a\nb\xff", r"a.txt:2: invalid UTF-8 at byte 2 of the line"),
        ("a.parquet", b"PAR1 cut", "cannot be read as parquet"),
        ("a.jsonl.gz", b"plain", "not a sound gzip file"),
        ("a.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 9, mtime=0)[:-9], r"cut off: the gzip data ends after line \d"),
        ("a.xlsx", b"x", "no ending that tuner can read"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(tmp_path / name)


def test_of_a_json_array_only_the_rows_that_name_a_key_twice_are_bad(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"a": 1}, {"a": 1, "a": 2}]')
    assert fields(tmp_path / "a.json") == [{"a": 1}, 'an object names the key "a" twice']


def test_a_csv_row_with_too_many_cells_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n1,2,3\n")
    assert reason(path) == ":3: 3 cells where the header has 2 columns"


def test_a_mistyped_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write_lines(tmp_path / "train.jsonl", ROWS)
    with pytest.raises(DataError, match=r"tran.jsonl does not exist. Did you mean .*/train.jsonl\?"):
        read(tmp_path / "tran.jsonl")


def test_a_name_that_is_nowhere_says_that_the_hub_was_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="neither a file here nor"):
        list(read_rows(DataSource(path="no-such-owner/no-such-set")))
