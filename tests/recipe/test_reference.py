"""What editors and readers are told about a recipe comes from the declarations, and is complete and fresh."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tui_tuner.recipe import parse_recipe
from tui_tuner.recipe.reference import recipe_reference, recipe_schema
from tui_tuner.recipe.schema import JsonSchema, allowed_words, description_of, fields_of, schema_at

ROOT = Path(__file__).resolve().parents[2]
SMALLEST = '[model]\nsource = "m"\n[[data.sources]]\npath = "a"\n'


def all_fields() -> dict[str, JsonSchema]:
    sections = {**fields_of(recipe_schema()), "data.sources[0]": schema_at(("data", "sources", 0)) or {}}
    return {
        f"{section}.{name}": field for section, schema in sections.items() for name, field in fields_of(schema).items()
    }


FIELDS = all_fields()


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_has_a_label_and_help(path: str) -> None:
    assert FIELDS[path]["title"][0].isupper()
    assert re.search(r"[.)]$", description_of(FIELDS[path]))


@pytest.mark.parametrize("path", [path for path, field in FIELDS.items() if field.get("default", "auto") == "auto"])
def test_a_field_without_a_telling_default_has_an_example(path: str) -> None:
    assert FIELDS[path]["examples"]


@pytest.mark.parametrize("path", [path for path, field in FIELDS.items() if "examples" in field])
def test_examples_are_allowed(path: str) -> None:
    value = FIELDS[path]["examples"][0]
    if not isinstance(value, dict | list):
        parse_recipe(SMALLEST, [f"{path}={json.dumps(value)}"])


def test_the_examples_in_the_docs_are_toml() -> None:
    examples = re.findall(r"^- Example: `([^`]+=[^`]+)`$", recipe_reference(), re.MULTILINE)
    assert len(examples) > 40
    for example in examples:
        assert tomllib.loads(example)


def test_the_recipe_in_the_docs_is_a_recipe() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", recipe_reference(), re.DOTALL)
    assert parse_recipe(example).model.source


def test_docs_recipe_is_fresh() -> None:
    message = "run `make docs`"
    assert (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8") == recipe_reference(), message


def test_the_schema_is_a_closed_json_schema() -> None:
    schema = json.loads(json.dumps(recipe_schema()))
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["model", "data"]
    assert all(section["additionalProperties"] is False for section in schema["$defs"].values())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("adapter", "rank"), "a whole number from 1 to 1,024"),
        (("data", "packing"), 'true or false or "auto"'),
        (("data", "sources"), "a list of one or more tables"),
        (("data", "sources", 0, "columns"), "a table of texts in quotes"),
        (("model", "quantization"), '"none", "fp8", "nf4" or "auto"'),
        (("model", "source"), "a text in quotes that is not empty"),
        (("optimizer", "lora_plus_ratio"), "a number from 1 to 256"),
    ],
)
def test_what_a_field_takes_is_said_in_words(path: tuple[str | int, ...], words: str) -> None:
    schema = schema_at(path)
    assert schema is not None
    assert allowed_words(schema) == words
