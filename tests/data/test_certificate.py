"""A certificate holds as long as the labels do, and says what changed when they do not."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.audit.rows import example_of
from tests.data.material import tiny_tokenizer
from tui_tuner.data.certificate import (
    Certificate,
    certificate_of,
    differences,
    masking_code_hash,
    read_certificate,
    refuse_differences,
)
from tui_tuner.data.labels import LabelledExample
from tui_tuner.data.tokenizer import TextTokenizer
from tui_tuner.errors import DataError, LabelError

ROWS = (example_of([1, 2, 3]), example_of([4, 5], 1))


@pytest.fixture(name="tokenizer")
def _tokenizer(tmp_path: Path) -> TextTokenizer:
    return tiny_tokenizer(tmp_path / "model")


def certificate(tokenizer: TextTokenizer, rows: tuple[LabelledExample, ...] = ROWS, length: int = 64) -> Certificate:
    return certificate_of(tokenizer, ("t", "d"), ("assistant", length, "keep_turns", True), rows, ROWS[:1])


def test_equal_labels_have_equal_certificates(tokenizer: TextTokenizer) -> None:
    assert differences(certificate(tokenizer), certificate(tokenizer)) == ()


@pytest.mark.parametrize(
    "rows",
    [
        ROWS[::-1],
        (*ROWS[:1], example_of([4, 6], 1)),
        (example_of([1, 2, 3], 2), ROWS[1]),
        (example_of([1, 2, 3, 4, 5]),),
    ],
)
def test_any_change_of_labels_is_seen(rows: tuple[LabelledExample, ...], tokenizer: TextTokenizer) -> None:
    assert "the labels of the training rows changed" in differences(
        certificate(tokenizer), certificate(tokenizer, rows)
    )


def test_causes_are_named_in_words(tokenizer: TextTokenizer) -> None:
    other = replace(tokenizer, stop_ids=(1,))
    changed = differences(certificate(tokenizer), certificate(other, length=32))
    assert changed == (
        "the tokenizer (tokenizer.json or its settings) changed",
        "data.max_length changed from 64 to 32",
    )


def test_a_difference_is_refused_with_what_changed(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(certificate(tokenizer).model_dump_json())
    refuse_differences(read_certificate(path), certificate(tokenizer))
    with pytest.raises(LabelError, match=r"data\.max_length changed from 64 to 32") as refused:
        refuse_differences(read_certificate(path), certificate(tokenizer, length=32))
    assert refused.value.exit_code == 3


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}")
    for name in ("other.json", "missing.json"):
        with pytest.raises(DataError, match=name):
            read_certificate(tmp_path / name)


def test_the_masking_code_has_a_hash() -> None:
    assert len(masking_code_hash()) == 64
