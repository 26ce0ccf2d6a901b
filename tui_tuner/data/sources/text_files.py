"""Rows of text files: JSON Lines, JSON, CSV and plain text, gzipped or not.

Every byte is checked here before anything else sees it. A fault of one line becomes a `BadRow`; a fault that makes the
rest of the file unreadable raises.
"""

import csv
import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import BinaryIO

from tui_tuner.data.rows import BadRow, RowRef, SourceRow
from tui_tuner.data.sources.files import SourceFile
from tui_tuner.data.sources.unique_keys import RepeatedKey, parse_json, repeated_key
from tui_tuner.errors import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DOCUMENT_SEPARATOR = "<|endoftext|>"
LONG_NUMBER = "a number has thousands of digits"


def read_text_file(file: SourceFile) -> Iterator[SourceRow | BadRow]:
    """Stream the rows of a jsonl, json, csv, tsv or txt file.

    Raises:
        DataError: the file is empty, cut off or not what its name says.
    """
    match file.kind:
        case "csv" | "tsv":
            return _csv_rows(file, "\t" if file.kind == "tsv" else ",")
        case "txt":
            return _text_rows(file)
        case _:
            return _json_rows(file) if is_json_document(file) else _json_lines(file)


def raw_lines(file: SourceFile) -> Iterator[bytes]:
    """Lines with their ends, the byte order mark taken off.

    Raises:
        DataError: the file cannot be read, is empty, or is a gzip file that is damaged.
    """
    number = 0
    try:
        with _open(file) as stream:
            for number, line in enumerate(stream, start=1):
                yield line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
    except EOFError as error:
        raise DataError(f"{file.path} is cut off: the gzip data ends after line {number}.", "Copy it again.") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file.path} is not a sound gzip file: {error}.", "Copy it again, or unpack it.") from error
    except OSError as error:
        raise DataError(f"{file.path} cannot be read: {error.strerror}.") from error
    if number == 0:
        raise DataError(f"{file.path} is empty.", "Check how it was written, or name another file.")


def parse_line(line: bytes, ref: RowRef) -> SourceRow | BadRow:
    """Check one line of JSON."""
    try:
        value, is_repeated = parse_json(line.rstrip().decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"invalid UTF-8 at byte {error.start + 1} of the line (0x{line[error.start]:02x})"
        return BadRow(ref=ref, reason=reason)
    except json.JSONDecodeError as error:
        return BadRow(ref=ref, reason=_json_fault(error))
    except ValueError:
        return BadRow(ref=ref, reason=LONG_NUMBER)
    except RecursionError:
        return BadRow(ref=ref, reason="JSON is nested too deeply")
    repeated = repeated_key(value) if is_repeated else None
    if repeated is not None:
        return BadRow(ref=ref, reason=str(repeated))
    return check_object(value, ref, may_hold_surrogates=b"\\u" in line)


def check_object(value: object, ref: RowRef, may_hold_surrogates: bool) -> SourceRow | BadRow:
    """Check that a parsed value is an object of encodable text."""
    if not isinstance(value, Mapping):
        return BadRow(ref=ref, reason=f"the row is {_json_type(value)}, not an object")
    if may_hold_surrogates and not _is_encodable(value):
        return BadRow(ref=ref, reason="a text holds half of a character (a lone surrogate such as \\ud83d)")
    return SourceRow(ref=ref, fields=value)


def is_json_document(file: SourceFile) -> bool:
    """Whether the file is one JSON value. Names lie: .json often holds lines and .jsonl now and then an array."""
    lines = (line.strip() for line in raw_lines(replace(file, watch=None)) if line.strip())
    first = next(lines, b"")
    if first.startswith(b"["):
        return next(lines, None) is None or not _is_whole(first)
    return file.kind == "json" and (not _is_whole(first) or next(lines, None) is None)


def _is_whole(line: bytes) -> bool:
    """Whether the line is a JSON value by itself."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _open(file: SourceFile) -> BinaryIO | gzip.GzipFile:
    stream = file.path.open("rb") if file.watch is None else file.watch.open(file.path)
    return gzip.GzipFile(fileobj=stream, mode="rb") if file.is_gzipped else stream


def _json_lines(file: SourceFile) -> Iterator[SourceRow | BadRow]:
    path = str(file.path)
    num_rows = 0
    for number, line in enumerate(raw_lines(file), start=1):
        if not line.strip():
            continue
        num_rows += 1
        yield parse_line(line, RowRef(path, number))
    if num_rows == 0:
        raise DataError(f"{path} holds only blank lines.", "Check how it was written.")


def _json_rows(file: SourceFile) -> Iterator[SourceRow | BadRow]:
    text = _decoded(file)
    path = str(file.path)
    try:
        value, is_repeated = parse_json(text)
    except json.JSONDecodeError as error:
        where = f"{path}:{error.lineno}"
        raise DataError(f"{where}: {_json_fault(error)}.", "Mend the file, or write one object per line.") from error
    except ValueError as error:
        raise DataError(f"{path}: {LONG_NUMBER}.", "Put it in quotes.") from error
    except RecursionError as error:
        raise DataError(f"{path}: JSON is nested too deeply.") from error
    may_hold_surrogates = "\\u" in text
    for number, entry in enumerate(_array(value, path), start=1):
        repeated = repeated_key(entry) if is_repeated else None
        ref = RowRef(path, number)
        yield BadRow(ref=ref, reason=str(repeated)) if repeated else check_object(entry, ref, may_hold_surrogates)


def _array(value: object, path: str) -> list[object]:
    """The array itself, or the only array in an object such as {"data": [...]}. One conversation is one row."""
    if isinstance(value, RepeatedKey):
        raise DataError(f"{path}: {value}.", "Leave one of the two.")
    arrays = [value] if isinstance(value, list) else []
    if isinstance(value, Mapping):
        arrays = [entry for entry in value.values() if isinstance(entry, list)]
        if any(_is_turn(entry) for array in arrays for entry in array[:1]):
            return [value]
    if len(arrays) != 1:
        raise DataError(
            f"{path} is {_json_type(value)} with {len(arrays)} arrays; rows are expected in one array.",
            "Write an array of objects, or one object per line.",
        )
    if not arrays[0]:
        raise DataError(f"{path} holds an empty array.", "Check how it was written.")
    return arrays[0]


def _is_turn(value: object) -> bool:
    return isinstance(value, Mapping) and ("role" in value or "from" in value)


def _csv_rows(file: SourceFile, delimiter: str) -> Iterator[SourceRow | BadRow]:
    csv.field_size_limit(sys.maxsize)  # texts above the default limit of 128 kB are ordinary here
    path = str(file.path)
    reader = csv.reader(_decoded_lines(file), delimiter=delimiter, strict=True)
    num_rows = 0
    try:
        columns = _columns(next(reader), path)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                num_rows += 1
                yield _csv_row(columns, cells, RowRef(path, line))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: {error}.", "Mend the quotes of this row.") from error
    if num_rows == 0:
        raise DataError(f"{path} holds a header and no rows.", "Check how it was written.")


def _columns(names: list[str], path: str) -> list[str]:
    """The names in the header, if each is there once: of two columns with one name, one would be lost."""
    repeated = [name for number, name in enumerate(names) if name in names[:number]]
    if repeated:
        raise DataError(f'{path}:1: the header names the column "{repeated[0][:40]}" twice.', "Rename one of the two.")
    return names


def _csv_row(columns: list[str], cells: list[str], ref: RowRef) -> SourceRow | BadRow:
    if len(cells) != len(columns):
        return BadRow(ref=ref, reason=f"{len(cells)} cells where the header has {len(columns)} columns")
    return SourceRow(ref=ref, fields=dict(zip(columns, cells, strict=True)))


def _text_rows(file: SourceFile) -> Iterator[SourceRow]:
    """One document per file, or one between each two lines that hold only the separator."""
    path = str(file.path)
    document: list[str] = []
    first = 1
    for number, line in enumerate(_decoded_lines(file), start=1):
        if line.strip() != DOCUMENT_SEPARATOR:
            document.append(line)
            continue
        yield from _document(document, RowRef(path, first))
        document, first = [], number + 1
    yield from _document(document, RowRef(path, first))


def _document(lines: list[str], ref: RowRef) -> Iterator[SourceRow]:
    text = "".join(lines)
    if text.strip():
        yield SourceRow(ref=ref, fields={"text": text})


def _decoded_lines(file: SourceFile) -> Iterator[str]:
    for number, line in enumerate(raw_lines(file), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _not_utf8(file, number, error.start, line[error.start]) from error


def _decoded(file: SourceFile) -> str:
    text = io.StringIO()
    for line in _decoded_lines(file):
        text.write(line)
    return text.getvalue()


def _not_utf8(file: SourceFile, line: int, start: int, byte: int) -> DataError:
    message = f"{file.path}:{line}: invalid UTF-8 at byte {start + 1} of the line (0x{byte:02x})."
    return DataError(message, "Convert the file to UTF-8.")


def _json_fault(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Unterminated string"):
        return f"JSON is cut off in the text that begins at column {error.colno}"
    what = "JSON is cut off" if error.pos >= len(error.doc.rstrip()) else f"invalid JSON ({error.msg})"
    return f"{what} at column {error.colno}"


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {list: "an array", Mapping: "an object", str: "a text", int: "a number", float: "a number"}
    return next(name for kind, name in names.items() if isinstance(value, kind))


def _is_encodable(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
