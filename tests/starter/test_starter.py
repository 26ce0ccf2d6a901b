"""What the package brings along fits together, within its limits."""

import json
import re
from pathlib import Path

from tui_tuner.recipe import parse_recipe
from tui_tuner.starter import (
    starter_held_out_file,
    starter_instructions_file,
    starter_model_folder,
    starter_recipe,
    starter_recipe_text,
)

LARGEST_PACKAGE = 6_000_000


def test_the_whole_starter_is_at_most_six_megabytes() -> None:
    files = [path for path in starter_model_folder().parent.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.suffix != ".pyc") <= LARGEST_PACKAGE


def test_the_recipe_names_files_that_are_there() -> None:
    recipe = starter_recipe("somewhere")
    assert Path(recipe.model.source) == starter_model_folder()
    assert Path(recipe.data.sources[0].path) == starter_instructions_file()
    assert Path(recipe.data.evaluation_sources[0].path) == starter_held_out_file()
    assert all(path.exists() for path in (starter_model_folder(), starter_instructions_file(), starter_held_out_file()))


def test_the_recipe_text_is_the_recipe_and_keeps_its_comments() -> None:
    text = starter_recipe_text("elsewhere")
    assert parse_recipe(text) == starter_recipe("elsewhere")
    assert parse_recipe(text).output.folder == "elsewhere"
    assert "# " in text


def test_every_held_out_row_is_asked_for_exact_match() -> None:
    rows = starter_held_out_file().read_text().splitlines()
    assert starter_recipe().training.exact_match_rows == len(rows)


def test_the_model_has_no_chat_template() -> None:
    settings = json.loads((starter_model_folder() / "tokenizer_config.json").read_text())
    assert "chat_template" not in settings
    assert not (starter_model_folder() / "chat_template.jinja").exists()


def test_answers_are_one_to_eight_words() -> None:
    rows = [json.loads(line) for line in starter_instructions_file().read_text().splitlines()]
    lengths = {len(row["messages"][-1]["content"].split()) for row in rows}
    assert lengths <= set(range(1, 9))


def test_the_readme_gives_the_hash_of_the_model() -> None:
    folder = starter_model_folder().parent
    hashes = json.loads((folder / "manifest.json").read_text())["sha256"]
    named = set(re.findall(r"[0-9a-f]{64}", (folder / "README.md").read_text()))
    assert named == set(hashes.values())
