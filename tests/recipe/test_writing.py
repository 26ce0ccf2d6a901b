"""A recipe that is written reads back as the same recipe."""

import pytest

from tui_tuner.recipe import parse_recipe, recipe_to_toml

TEXT = """
[model]
source = "folder with \\"quotes\\" and \\u00fc"
[adapter]
targets = ["q_proj", "v_proj"]
layers = [0, 3]
[[data.sources]]
path = "a.jsonl"
columns = {prompt = "question", completion = "the answer"}
[[data.sources]]
path = "b.parquet"
weight = 0.5
[training]
max_steps = 40
sample_prompts = ["one", "two"]
"""


@pytest.mark.parametrize("only_set", [True, False])
def test_a_written_recipe_reads_back_as_itself(only_set: bool) -> None:
    recipe = parse_recipe(TEXT)
    assert parse_recipe(recipe_to_toml(recipe, only_set=only_set)) == recipe


def test_what_is_not_set_is_not_written() -> None:
    assert recipe_to_toml(parse_recipe('[model]\nsource = "m"\n[[data.sources]]\npath = "a"\n')).split() == [
        "[model]", "source", "=", '"m"', "[[data.sources]]", "path", "=", '"a"',
    ]  # fmt: skip
