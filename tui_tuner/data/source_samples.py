"""The rows of one data source, read and converted: all in a stream, or a few from all over it for a quick look."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from tui_tuner.data.formats import DetectedShape, convert_row, detect_shape
from tui_tuner.data.readers import read_file, read_rows
from tui_tuner.data.rows import BadRow, RowRef, Sample, SourceRow
from tui_tuner.data.sources.files import HubDataset, SourceFile, find_files
from tui_tuner.data.sources.text_files import BYTE_ORDER_MARK, is_json_document, parse_line
from tui_tuner.data.sources.watched import FileWatch
from tui_tuner.errors import DataError
from tui_tuner.plan import SourceFacts
from tui_tuner.recipe import DataSource

ROWS_TO_DETECT = 20
MOST_BYTES_COUNTED = 64 * 2**20
"""Of a longer file of lines only the beginning is looked at, and the number of its rows is estimated from that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSamples:
    """What a quick look found in one source."""

    facts: SourceFacts
    samples: tuple[Sample, ...]
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class _FewRows:
    """Some rows of a file, and how many it has."""

    rows: list[SourceRow | BadRow]
    num_rows: int


class SourceReader:
    """Streams a source once. What it tells beside the rows is true when they are at their end."""

    def __init__(self, source: DataSource, digest: "hashlib._Hash") -> None:
        """`digest` is fed with the hash of each file; of a hub data set, with its converted rows."""
        self.source = source
        self.num_rows = 0
        self._digest = digest
        self._detected: DetectedShape | None = None
        self._files = find_files(source)
        self._watch: FileWatch | None = None
        self._bytes_of_files = 0

    @property
    def num_bytes(self) -> int:
        """Bytes of all files; 0 for a hub data set."""
        return 0 if isinstance(self._files, HubDataset) else sum(file.path.stat().st_size for file in self._files)

    @property
    def bytes_read(self) -> int:
        return self._bytes_of_files + (self._watch.num_bytes if self._watch else 0)

    def samples(self) -> Iterator[Sample | BadRow]:
        """Read and convert every row.

        Raises:
            DataError: a file cannot be read, or its rows fit no shape.
        """
        rows = self._rows()
        first = _first_rows(rows)
        self._detected = _detected(self.source, first)
        separator = b""
        for row in chain(first, rows):
            self.num_rows += 1
            converted = row if isinstance(row, BadRow) else convert_row(row, self._detected)
            if isinstance(self._files, HubDataset) and not isinstance(converted, BadRow):
                self._digest.update(separator + repr(converted).encode("utf-8", "surrogatepass"))
                separator = b"\n"
            yield converted

    def facts(self) -> SourceFacts:
        if self._detected is None:
            raise TypeError("the facts of a source are known when its rows have been read")
        return _facts(self.source, self._detected, self.num_rows)

    def _rows(self) -> Iterator[SourceRow | BadRow]:
        if isinstance(self._files, HubDataset):
            yield from read_rows(self.source)
            return
        for file in self._files:
            self._watch = FileWatch()
            yield from read_file(replace(file, watch=self._watch))
            self._digest.update(self._watch.digest() if self._watch.num_bytes else _file_digest(file))
            self._watch = None
            self._bytes_of_files += file.path.stat().st_size


def read_few_samples(source: DataSource, count: int) -> SourceSamples:
    """Read and convert about `count` rows from all over the source, and count them all. Raises as `samples`."""
    found = find_files(source)
    if isinstance(found, HubDataset):
        few = [_some(list(read_rows(source)), count)]
    else:
        few = [_few_rows(file, -(-count // len(found))) for file in found]
    return _converted(source, [row for one in few for row in one.rows], sum(one.num_rows for one in few))


def _converted(source: DataSource, rows: Sequence[SourceRow | BadRow], num_rows: int) -> SourceSamples:
    detected = _detected(source, _first_rows(iter(rows)))
    converted = [row if isinstance(row, BadRow) else convert_row(row, detected) for row in rows]
    return SourceSamples(
        facts=_facts(source, detected, num_rows),
        samples=tuple(one for one in converted if not isinstance(one, BadRow)),
        bad_rows=tuple(one for one in converted if isinstance(one, BadRow)),
    )


def _first_rows(rows: Iterator[SourceRow | BadRow]) -> list[SourceRow | BadRow]:
    """Rows up to the last of those that the shape is told from."""
    first: list[SourceRow | BadRow] = []
    num_good = 0
    while num_good < ROWS_TO_DETECT and (row := next(rows, None)) is not None:
        first.append(row)
        num_good += isinstance(row, SourceRow)
    return first


def _detected(source: DataSource, first: Sequence[SourceRow | BadRow]) -> DetectedShape:
    good = [row for row in first if isinstance(row, SourceRow)]
    if not good:
        raise DataError(f"{first[0]}; no row of {source.path} can be read.", "Check how the file was written.")
    return detect_shape(good, source)


def _file_digest(file: SourceFile) -> bytes:
    with file.path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _facts(source: DataSource, detected: DetectedShape, num_rows: int) -> SourceFacts:
    found = find_files(source)
    files = () if isinstance(found, HubDataset) else tuple(str(file.path) for file in found)
    return SourceFacts(
        path=source.path,
        files=files,
        shape=detected.shape,
        shape_reason=detected.reason,
        columns=dict(detected.columns),
        num_rows=num_rows,
        weight=source.weight,
    )


def _few_rows(file: SourceFile, count: int) -> _FewRows:
    if file.kind in ("jsonl", "json") and not file.is_gzipped and not is_json_document(file):
        return _few_lines(file, count)
    return _some(list(read_file(file)), count)


def _some(rows: Sequence[SourceRow | BadRow], count: int) -> _FewRows:
    return _FewRows([rows[index] for index in _spread(len(rows), count)], len(rows))


def _few_lines(file: SourceFile, count: int) -> _FewRows:
    """Parse only the chosen lines; the others are merely counted."""
    size = file.path.stat().st_size
    with file.path.open("rb") as stream:
        content = stream.read(MOST_BYTES_COUNTED)
    ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n"))
    if len(content) == size and not content.endswith(b"\n"):
        ends = np.append(ends, size)
    starts = np.concatenate(([0], ends[:-1] + 1))
    filled = np.flatnonzero(ends > starts)
    rows = []
    for line in (int(filled[index]) for index in _spread(len(filled), count)):
        text = content[starts[line] : ends[line]].removeprefix(BYTE_ORDER_MARK)
        if text.strip():
            rows.append(parse_line(text, RowRef(str(file.path), line + 1)))
    return _FewRows(rows, round(len(filled) * size / len(content)))


def _spread(length: int, count: int) -> list[int]:
    """Positions at even distances, the first one among them."""
    step = max(1.0, length / count)
    return [int(number * step) for number in range(min(count, length))]
