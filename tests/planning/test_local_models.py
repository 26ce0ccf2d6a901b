import json
import os
from pathlib import Path

from tests.screens.hollow_models import LLAMA_8B, QWEN3_8B, hollow_hub, hollow_model
from tui_tuner.planning.local_models import LocalModel, local_adapters, local_models


def _named(models: tuple[LocalModel, ...], name: str) -> LocalModel:
    return next(model for model in models if model.name == name)


def test_the_cache_comes_first_and_the_starter_last(tmp_path: Path) -> None:
    hollow_model(tmp_path / "mine" / "qwen", QWEN3_8B)
    models = local_models(hollow_hub(tmp_path / "hub"), [tmp_path / "mine"])
    assert [model.place for model in models] == ["cache"] * 4 + ["folder", "built in"]


def test_a_model_is_described_without_its_weights_being_read(tmp_path: Path) -> None:
    model = _named(local_models(hollow_hub(tmp_path), []), "Qwen/Qwen3-8B")
    assert model.base is not None and model.base.facts.num_parameters == 8_190_735_360
    assert (model.licence, model.has_template, model.has_weights) == ("apache-2.0", True, True)
    assert model.num_bytes > 16e9


def test_a_model_whose_weights_were_not_fetched_is_listed_without_them(tmp_path: Path) -> None:
    model = _named(local_models(hollow_hub(tmp_path), []), "mistralai/Mistral-7B-v0.3")
    assert model.base is not None and not model.has_weights


def test_a_damaged_model_is_listed_with_its_problem(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    model = _named(local_models(tmp_path / "no-hub", [tmp_path]), "broken")
    assert model.base is None and model.problem is not None and "not valid JSON" in model.problem.message


def test_folders_are_searched_to_a_bounded_depth(tmp_path: Path) -> None:
    hollow_model(tmp_path / "a" / "b" / "near", LLAMA_8B)
    hollow_model(tmp_path / "a" / "b" / "c" / "d" / "far", LLAMA_8B)
    names = [model.name for model in local_models(tmp_path / "no-hub", [tmp_path])]
    assert "near" in names and "far" not in names


def test_adapters_are_found_with_their_base_newest_first(tmp_path: Path) -> None:
    for number, name in enumerate(("old", "new")):
        folder = tmp_path / name / "adapter"
        folder.mkdir(parents=True)
        config = folder / "adapter_config.json"
        config.write_text(json.dumps({"r": 8, "base_model_name_or_path": "org/base"}))
        os.utime(config, (1000 + number, 1000 + number))
    found = local_adapters([tmp_path])
    assert [one.folder.parent.name for one in found] == ["new", "old"]
    assert (found[0].rank, found[0].base_name) == (8, "org/base")
