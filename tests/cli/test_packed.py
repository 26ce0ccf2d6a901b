"""What `tuner labels` says of packing: numbers counted by hand."""

from tests.cli.test_label_lengths import _recipe
from tests.cli.test_labels import Labels, labels
from tui_tuner.cli.label_check.packed import PackedRows, packed_rows
from tui_tuner.recipe import DataSection, DataSource

__all__ = ["_recipe", "labels"]
PACKED = DataSection(sources=(DataSource(path="a.jsonl"),), packing=True)


def test_sequences_and_padding_are_those_of_the_packed_rows() -> None:
    expected = PackedRows(num_rows=5, num_sequences=3, max_length=100, padding_share=1 - 230 / 300)
    assert packed_rows(PACKED, [60, 40, 50, 50, 30], 100) == expected


def test_a_long_document_counts_with_its_pieces() -> None:
    found = packed_rows(PACKED, [250, 50], 100)
    assert found is not None
    assert (found.num_sequences, found.padding_share) == (3, 0)


def test_rows_that_are_not_packed_have_no_sequences() -> None:
    assert packed_rows(PACKED.model_copy(update={"packing": False}), [60, 40], 100) is None


def test_the_report_shows_the_share_of_padding(recipe: Labels) -> None:
    done = recipe("--set", "data.packing=true")
    assert "4 rows in 1 sequence of" in done.words
    assert "% padding" in done.words
