"""Rows of Parquet files and of the Arrow files that `datasets` saves. Read by pyarrow alone."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from tui_tuner.data.rows import BadRow, RowRef, SourceRow
from tui_tuner.data.sources.files import SourceFile
from tui_tuner.errors import DataError

ROWS_PER_BATCH = 1024


def read_arrow_file(file: SourceFile) -> Iterator[SourceRow | BadRow]:
    """Stream the rows of a .parquet or .arrow file.

    Raises:
        DataError: the file is damaged, or not what its name says.
    """
    number = 0
    try:
        for batch in _batches(file):
            for fields in batch.to_pylist():
                number += 1
                yield SourceRow(ref=RowRef(str(file.path), number), fields=fields)
    except UnicodeDecodeError as error:
        raise DataError(f"{file.path}: invalid UTF-8 after row {number}.", "Write the file again.") from error
    except (pa.ArrowInvalid, pa.ArrowException, OSError) as error:
        raise _damaged(file, error) from error
    if number == 0:
        raise DataError(f"{file.path} holds no rows.", "Check how it was written.")


def _batches(file: SourceFile) -> Iterator[pa.RecordBatch]:
    if file.kind == "parquet":
        source = pa.BufferReader(pa.input_stream(str(file.path)).read()) if file.is_gzipped else file.path
        return iter(pyarrow.parquet.ParquetFile(source).iter_batches(batch_size=ROWS_PER_BATCH))
    return _arrow_batches(pa.memory_map(str(file.path)))


def _arrow_batches(source: pa.MemoryMappedFile) -> Iterator[pa.RecordBatch]:
    for batch in pyarrow.ipc.open_stream(source):
        for start in range(0, batch.num_rows, ROWS_PER_BATCH):
            yield batch.slice(start, ROWS_PER_BATCH)


def _damaged(file: SourceFile, error: Exception) -> DataError:
    message = str(error).splitlines()[0]
    return DataError(f"{file.path} cannot be read as {file.kind}: {message}.", "Copy it again; it may be cut off.")
