"""The built-in starter: a small base model, an instruction set and a recipe, for a first run without network.

Its files are made by `python -m scripts.make_starter`; README.md in this folder says how. Nothing here loads the model.
"""

from pathlib import Path, PurePath

import tomlkit

from tui_tuner.recipe import Recipe, parse_recipe

_FOLDER = Path(__file__).resolve().parent


def starter_model_folder() -> Path:
    """The base model with its tokenizer, as a Hugging Face folder."""
    return _FOLDER / "model"


def model_title(source: str) -> str:
    """What a model is called in a line: the last part of its id or path; the starter's would say nothing."""
    return "tuner starter" if source == str(starter_model_folder()) else PurePath(source.rstrip("/")).name


def starter_instructions_file() -> Path:
    """The rows that the starter run learns from."""
    return _FOLDER / "instructions.jsonl"


def starter_held_out_file() -> Path:
    """Rows about creatures, towns and words that no row of the instructions asks about."""
    return _FOLDER / "held_out.jsonl"


def starter_recipe_text(runs_folder: str = "runs") -> str:
    """recipe.toml as it can be saved and run from anywhere: with absolute paths, and its runs in `runs_folder`."""
    document = tomlkit.parse((_FOLDER / "recipe.toml").read_text(encoding="utf-8"))
    document["model"]["source"] = str(starter_model_folder())
    document["data"]["sources"][0]["path"] = str(starter_instructions_file())
    document["data"]["evaluation_sources"][0]["path"] = str(starter_held_out_file())
    document["output"]["folder"] = runs_folder
    return tomlkit.dumps(document)


def starter_recipe(runs_folder: str = "runs") -> Recipe:
    """The checked recipe of the starter run."""
    return parse_recipe(starter_recipe_text(runs_folder), source="the starter's recipe")
