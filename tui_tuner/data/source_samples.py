"""The rows of one data source, read and converted: all of them, or a few from all over it for a quick look."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from tui_tuner.data.formats import DetectedShape, convert_row, detect_shape
from tui_tuner.data.readers import read_file, read_rows
from tui_tuner.data.rows import BadRow, RowRef, Sample, SourceRow
from tui_tuner.data.sources.files import HubDataset, SourceFile, find_files
from tui_tuner.data.sources.text_files import BYTE_ORDER_MARK, is_json_document, parse_line
from tui_tuner.errors import DataError
from tui_tuner.plan import SourceFacts
from tui_tuner.recipe import DataSource

ROWS_TO_DETECT = 20
MOST_BYTES_COUNTED = 64 * 2**20
"""Of a longer file of lines only the beginning is looked at, and the number of its rows is estimated from that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSamples:
    """What was found in one source."""

    facts: SourceFacts
    samples: tuple[Sample, ...]
    bad_rows: tuple[BadRow, ...]


@dataclass(frozen=True, slots=True)
class _FewRows:
    """Some rows of a file, and how many it has."""

    rows: list[SourceRow | BadRow]
    num_rows: int


def read_samples(source: DataSource) -> SourceSamples:
    """Read and convert every row.

    Raises:
        DataError: a file cannot be read, or its rows fit no shape.
    """
    rows = list(read_rows(source))
    return _converted(source, rows, len(rows))


def read_few_samples(source: DataSource, count: int) -> SourceSamples:
    """Read and convert about `count` rows from all over the source, and count them all. Raises as `read_samples`."""
    found = find_files(source)
    if isinstance(found, HubDataset):
        few = [_some(list(read_rows(source)), count)]
    else:
        few = [_few_rows(file, -(-count // len(found))) for file in found]
    return _converted(source, [row for one in few for row in one.rows], sum(one.num_rows for one in few))


def hash_sources(sources: Sequence[DataSource], samples: Sequence[SourceSamples]) -> str:
    """SHA-256 over the bytes of all files in order; of a hub data set, over its converted rows."""
    digest = hashlib.sha256()
    for source, found in zip(sources, samples, strict=True):
        files = find_files(source)
        if isinstance(files, HubDataset):
            digest.update("\n".join(map(repr, found.samples)).encode("utf-8", "surrogatepass"))
            continue
        for file in files:
            with file.path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _converted(source: DataSource, rows: Sequence[SourceRow | BadRow], num_rows: int) -> SourceSamples:
    good = (row for row in rows if isinstance(row, SourceRow))
    first = list(islice(good, ROWS_TO_DETECT))
    if not first:
        bad = [row for row in rows if isinstance(row, BadRow)]
        raise DataError(f"{bad[0]}; no row of {source.path} can be read.", "Check how the file was written.")
    detected = detect_shape(first, source)
    converted = [row if isinstance(row, BadRow) else convert_row(row, detected) for row in rows]
    return SourceSamples(
        facts=_facts(source, detected, num_rows),
        samples=tuple(one for one in converted if not isinstance(one, BadRow)),
        bad_rows=tuple(one for one in converted if isinstance(one, BadRow)),
    )


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
