"""The committed text files of the starter are what the script makes, and its questions are fair."""

import json
from pathlib import Path

import pytest

from scripts.make_starter.folder import corpus_text, rows_text, sha256
from scripts.make_starter.text_parts import TextParts, make_text_parts
from tui_tuner.starter import starter_held_out_file, starter_instructions_file, starter_model_folder

STARTER = starter_model_folder().parent


@pytest.fixture(scope="module")
def parts() -> TextParts:
    return make_text_parts()


@pytest.fixture(scope="module")
def hashes() -> dict[str, str]:
    content: dict[str, dict[str, str]] = json.loads((STARTER / "manifest.json").read_text())
    return content["sha256"]


def test_the_corpus_is_the_one_that_the_model_has_read(parts: TextParts, hashes: dict[str, str]) -> None:
    assert sha256(corpus_text(parts.documents).encode()) == hashes["corpus"]


def test_the_tokenizer_is_the_one_that_the_script_trains(parts: TextParts, tmp_path: Path) -> None:
    parts.tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert (tmp_path / "tokenizer.json").read_bytes() == (starter_model_folder() / "tokenizer.json").read_bytes()


def test_the_rows_are_those_that_the_script_writes(parts: TextParts) -> None:
    assert starter_instructions_file().read_text() == rows_text(parts.instructions.training)
    assert starter_held_out_file().read_text() == rows_text(parts.instructions.held_out)


def test_the_manifest_names_the_files_that_are_there(hashes: dict[str, str]) -> None:
    files = {name: digest for name, digest in hashes.items() if name != "corpus"}
    assert files == {name: sha256((STARTER / name).read_bytes()) for name in files}


def test_no_question_is_both_trained_and_held_out(parts: TextParts) -> None:
    trained = {row.question for row in parts.instructions.training}
    assert trained.isdisjoint(row.question for row in parts.instructions.held_out)


def test_no_trained_question_names_a_held_out_subject(parts: TextParts) -> None:
    trained = {row.subject for row in parts.instructions.training}
    assert trained.isdisjoint(row.subject for row in parts.instructions.held_out)


def test_the_prose_states_the_fact_behind_each_held_out_row(parts: TextParts) -> None:
    sentences = {sentence for text in parts.documents for sentence in text.split(". ")}
    for row in parts.instructions.held_out:
        assert any(row.subject in one and row.value in one for one in sentences), row


def test_a_question_has_one_answer(parts: TextParts) -> None:
    rows = {*parts.instructions.training, *parts.instructions.held_out}
    assert len({row.question for row in rows}) == len(rows)


def test_no_prose_holds_the_form_of_a_chat(parts: TextParts) -> None:
    assert not [text for text in parts.documents if "User" in text or "Assistant" in text or "#" in text]
