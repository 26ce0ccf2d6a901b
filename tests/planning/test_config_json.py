from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, write_config, write_weights
from tui_tuner.errors import ModelError
from tui_tuner.families.llama import LLAMA
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.planning.config_json import read_config
from tui_tuner.recipe import AdapterSection

AUTO_MAP = {"auto_map": {"AutoModelForCausalLM": "modeling_odd.OddForCausalLM"}}
ODD = {**LLAMA.tiny, "model_type": "odd", "architectures": ["OddForCausalLM"]}
REFUSED: dict[str, dict[str, Any]] = {
    "names no model_type": {"hidden_size": 64},
    "BertForMaskedLM is not a causal language model": {"model_type": "bert", "architectures": ["BertForMaskedLM"]},
    "T5ForConditionalGeneration is not": {
        "model_type": "t5",
        "architectures": ["T5ForConditionalGeneration"],
        "is_encoder_decoder": True,
    },
    "num_hidden_layers is 1000000000": {**LLAMA.tiny, "num_hidden_layers": 10**9},
    "hidden_size is 'wide'": {**LLAMA.tiny, "hidden_size": "wide"},
    "vocab_size is -1": {**LLAMA.tiny, "vocab_size": -1},
    "does not say hidden_size": {"model_type": "odd", "architectures": ["OddForCausalLM"], "num_attention_heads": 2},
    "stored as gptq": {**LLAMA.tiny, "quantization_config": {"quant_method": "gptq"}},
    "stored as bitsandbytes fp4": {**LLAMA.tiny, "quantization_config": {"load_in_4bit": True}},
    "stored as bitsandbytes int8": {**LLAMA.tiny, "quantization_config": {"quant_method": "bitsandbytes"}},
    "wants to run its own Python code": {**ODD, **AUTO_MAP},
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_config_that_cannot_be_trained_is_refused(message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        read_config(write_config(tmp_path, REFUSED[message]))


def test_remote_code_runs_where_the_recipe_names_it(tmp_path: Path) -> None:
    config = read_config(write_config(tmp_path, {**ODD, **AUTO_MAP}), allow_remote_code=True)
    assert config.remote_code == ("modeling_odd.OddForCausalLM",)


def test_a_known_family_needs_no_remote_code(tmp_path: Path) -> None:
    assert read_config(write_config(tmp_path, {**LLAMA.tiny, **AUTO_MAP})).family is LLAMA


def test_an_adapter_folder_is_no_base_model(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="is an adapter, not a base model"):
        read_config(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "\xff", "[" * 100_000])
def test_a_damaged_config_is_an_error_of_the_model(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"config\.json"):
        read_config(tmp_path)


def test_a_config_alone_says_what_could_not_be_known(tmp_path: Path) -> None:
    (unknown,) = base_model(tmp_path, LLAMA.tiny).facts.unknowns
    assert unknown.startswith("no weight files")


GEMMA3_IMAGES = {
    "model_type": "gemma3",
    "architectures": ["Gemma3ForConditionalGeneration"],
    "text_config": {"model_type": "gemma3_text", "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 256},
}


def test_the_text_part_of_a_model_with_images_lies_under_language_model(tmp_path: Path) -> None:
    base = base_model(tmp_path, GEMMA3_IMAGES)
    assert base.modules[1].path == "model.language_model.layers.0.self_attn.q_proj"
    assert base.modules[1].weight == (8 * 256, 64)


def test_adapters_beside_a_vision_tower_are_named_by_whole_paths(tmp_path: Path) -> None:
    plan = plan_adapter(AdapterSection(), base_model(tmp_path, GEMMA3_IMAGES))
    assert plan.target_names[0] == "model.language_model.layers.0.self_attn.q_proj"


def test_a_vision_tower_is_counted_from_the_weight_files(tmp_path: Path) -> None:
    text = base_model(tmp_path, GEMMA3_IMAGES)
    shapes: dict[str, tuple[int, ...]] = {"vision_tower.patch.weight": (7, 11)}
    for module in text.modules[:-1]:
        stored = module.path.replace("model.language_model.", "language_model.model.")
        shapes[f"{stored}.weight"] = module.weight
    write_weights(tmp_path / "model.safetensors", shapes)
    assert base_model(tmp_path, GEMMA3_IMAGES).facts.num_parameters == text.facts.num_parameters + 77


def test_a_generic_model_takes_its_modules_from_the_weight_files(tmp_path: Path) -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "model.tok.weight": (256, 64),
        "model.blocks.0.mixer.weight": (64, 96),
        "model.blocks.0.mixer.bias": (64,),
        "model.blocks.0.experts.0.up.weight": (8, 8),
        "model.out_norm.weight": (64,),
    }
    write_weights(tmp_path / "model.safetensors", shapes)
    base = base_model(tmp_path, {**ODD, "tie_word_embeddings": True})
    assert [module.path for module in base.modules if module.kind == "linear"] == ["model.blocks.0.mixer"]
    assert base.facts.num_parameters == 256 * 64 + 64 * 96 + 64 + 64 + 64
    assert not base.facts.is_accelerated
