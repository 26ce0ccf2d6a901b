from pathlib import Path

import pytest

from tui_tuner.errors import MachineError
from tui_tuner.screens.data import edits
from tui_tuner.screens.data.edits import Place
from tui_tuner.screens.data.file_entries import folder_entries, matching, typed_path
from tui_tuner.screens.data.menus import share_problem, weight_problem
from tui_tuner.screens.draft import Draft

FIRST = Place("sources", 0)


def _folder(folder: Path) -> Path:
    (folder / "sub").mkdir()
    for name in ("b.jsonl", "A.csv.gz", "notes.md", ".hidden.jsonl"):
        (folder / name).write_text("x\n")
    return folder


def test_a_folder_offers_folders_then_data_files(tmp_path: Path) -> None:
    entries = folder_entries(_folder(tmp_path))
    assert [one.name for one in entries] == ["..", "all of this folder", "sub", "A.csv.gz", "b.jsonl"]
    assert entries[-1].size == 2 and entries[2].is_entered


def test_other_kinds_of_files_can_be_asked_for(tmp_path: Path) -> None:
    assert [one.name for one in folder_entries(_folder(tmp_path), (".md",))] == ["..", "sub", "notes.md"]


def test_typing_searches_and_a_hub_id_is_offered(tmp_path: Path) -> None:
    entries = folder_entries(_folder(tmp_path))
    assert [one.name for one in matching(entries, "CSV")] == ["A.csv.gz"]
    assert [one.kind for one in matching(entries, "tatsu-lab/alpaca")] == ["hub"]
    assert matching(entries, "tatsu-lab/alpaca", takes_hub=False) == ()


def test_a_typed_path_is_its_folder_and_the_beginning_of_a_name(tmp_path: Path) -> None:
    assert typed_path("/data/tr", tmp_path) == (Path("/data"), "tr")
    assert typed_path("../", tmp_path) == (tmp_path / "..", "")
    assert typed_path("train", tmp_path) is None


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="cannot be read"):
        folder_entries(tmp_path / "gone")


def test_sources_are_added_changed_and_taken_out() -> None:
    draft = edits.with_source(Draft(), "a.jsonl")
    draft = edits.with_source(edits.with_source(draft, "b.jsonl"), "test.jsonl", "evaluation_sources")
    assert edits.places(draft) == (FIRST, Place("sources", 1), Place("evaluation_sources", 0))
    draft = edits.with_column(draft, FIRST, "prompt", "question")
    assert draft.get("data", "sources", 0) == {"path": "a.jsonl", "columns": {"prompt": "question"}}
    assert edits.with_path(draft, FIRST, "c.jsonl").get("data", "sources", 0) == {"path": "c.jsonl"}
    assert edits.with_column(draft, FIRST, "prompt", None).get("data", "sources", 0) == {"path": "a.jsonl"}
    assert edits.without_source(draft, FIRST).get("data", "sources") == [{"path": "b.jsonl"}]


def test_numbers_that_cannot_be_are_refused_in_words() -> None:
    assert share_problem("5") == "" and share_problem("100") and share_problem("x")
    assert weight_problem("0.5") == "" and weight_problem("0") and weight_problem("")
