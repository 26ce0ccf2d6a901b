"""The columns of a data source, for choosing which stands for what."""

from dataclasses import dataclass
from itertools import islice

from tui_tuner.data.readers import read_rows
from tui_tuner.data.rows import SourceRow
from tui_tuner.recipe import DataSource

ROWS_READ = 32
MOST_EXAMPLE = 300


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and what the first row that has it says there."""

    name: str
    example: str


def source_columns(source: DataSource) -> tuple[Column, ...]:
    """The columns of the first rows.

    Raises:
        DataError: the source cannot be read.
    """
    columns: dict[str, str] = {}
    for row in islice(read_rows(source), ROWS_READ):
        if isinstance(row, SourceRow):
            for name, value in row.fields.items():
                columns.setdefault(name, value[:MOST_EXAMPLE] if isinstance(value, str) else repr(value)[:MOST_EXAMPLE])
    return tuple(Column(name, example) for name, example in columns.items())
