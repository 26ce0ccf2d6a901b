"""The rows of a data source, streamed, each with the file and line that it came from. Nothing is interpreted here."""

from collections.abc import Iterator

from tui_tuner.data.rows import BadRow, SourceRow
from tui_tuner.data.sources.files import HubDataset, SourceFile, find_files
from tui_tuner.data.sources.hub import read_hub_dataset
from tui_tuner.data.sources.text_files import read_text_file
from tui_tuner.recipe import DataSource


def read_rows(source: DataSource) -> Iterator[SourceRow | BadRow]:
    """Stream the rows of a source in a fixed order.

    Raises:
        DataError: a file is missing, empty, cut off or not what its name says.
    """
    found = find_files(source)
    if isinstance(found, HubDataset):
        yield from read_hub_dataset(found)
        return
    for file in found:
        yield from read_file(file)


def read_file(file: SourceFile) -> Iterator[SourceRow | BadRow]:
    """Stream the rows of one file."""
    if file.kind not in ("arrow", "parquet"):
        return read_text_file(file)
    from tui_tuner.data.sources.arrow_files import read_arrow_file  # pyarrow costs a fifth of a second

    return read_arrow_file(file)
