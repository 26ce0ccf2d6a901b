"""Adapters that PEFT itself wrote, read without torch and gone on with."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from tests.planning.model_folders import base_model, write_raw_weights
from tests.tiny import tiny_model
from tui_tuner.errors import AdapterError, RecipeError
from tui_tuner.plan import AdapterPlan
from tui_tuner.planning.adapters.plan import adapter_decisions, plan_adapter
from tui_tuner.planning.inheriting.reading import read_adapter
from tui_tuner.recipe import AdapterSection

UNSLOTH_PATTERN = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?"
    r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\."
    r"(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\."
    r"(?:(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)))"
)


def write_adapter(folder: Path, **settings: Any) -> dict[str, Any]:
    """An adapter that PEFT saved; returns its base model's config."""
    from peft import LoraConfig, get_peft_model

    model = tiny_model(tie_word_embeddings=settings.get("ensure_weight_tying", False))
    config: dict[str, Any] = model.config.to_dict()
    targets = {"r": 4, "target_modules": "all-linear", **settings}
    get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **targets)).save_pretrained(folder)
    return config


def continued(folder: Path, config: dict[str, Any], section: AdapterSection | None = None) -> AdapterPlan:
    return plan_adapter(section or AdapterSection(), base_model(folder / "base", config), read_adapter(folder))


SAVED_BY_PEFT: dict[str, tuple[AdapterSection, dict[str, Any]]] = {
    "lora": (AdapterSection(rank=4), {}),
    "dora": (AdapterSection(rank=4, variant="dora"), {"use_dora": True}),
    "head": (AdapterSection(rank=4, modules_to_save=("lm_head",)), {"modules_to_save": ["lm_head"]}),
    "tied": (
        AdapterSection(rank=4, modules_to_save=("embed_tokens",)),
        {"modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    ),
    "norms": (AdapterSection(rank=4, modules_to_save=("norm",)), {"modules_to_save": ["norm"]}),
    "one_layer": (
        AdapterSection(rank=4, targets=("q_proj",), layers=(1,)),
        {"target_modules": ["q_proj"], "layers_to_transform": [1]},
    ),
}


@pytest.mark.parametrize("case", SAVED_BY_PEFT)
def test_the_size_on_disk_is_what_peft_writes(case: str, tmp_path: Path) -> None:
    section, settings = SAVED_BY_PEFT[case]
    config = write_adapter(tmp_path, **settings)
    plan = plan_adapter(section, base_model(tmp_path / "base", config))
    assert plan.adapter_bytes == (tmp_path / "adapter_model.safetensors").stat().st_size


@pytest.mark.parametrize("case", SAVED_BY_PEFT)
def test_a_continued_adapter_plans_what_made_it(case: str, tmp_path: Path) -> None:
    section, settings = SAVED_BY_PEFT[case]
    config = write_adapter(tmp_path, lora_alpha=32, **settings)
    made = plan_adapter(section, base_model(tmp_path / "base", config))
    plan = continued(tmp_path, config)
    assert plan.continues == str(tmp_path)
    unlike = {"continues", "modules_to_save"}
    assert plan.model_dump(exclude=unlike) == made.model_dump(exclude=unlike)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"target_modules": UNSLOTH_PATTERN}, 14),
        ({"target_modules": "all-linear", "exclude_modules": ["down_proj"]}, 12),
        ({"target_modules": ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"]}, 2),
        ({"target_modules": ["q_proj", "v_proj"], "layers_to_transform": 1}, 2),
        ({"target_modules": r".*layers\.1\..*(q|v)_proj"}, 2),
    ],
)
def test_the_modules_of_the_file_are_trained_again(settings: dict[str, Any], count: int, tmp_path: Path) -> None:
    config = write_adapter(tmp_path, **settings)
    stored = {tensor.name for tensor in read_adapter(tmp_path).tensors if tensor.name.endswith("lora_A.weight")}
    plan = continued(tmp_path, config)
    assert {f"base_model.model.{target.path}.lora_A.weight" for target in plan.targets} == stored
    assert len(stored) == count


def test_a_pattern_that_stops_short_of_the_last_layer_must_be_confirmed(tmp_path: Path) -> None:
    config = write_adapter(tmp_path, target_modules=r".*layers\.0\..*q_proj")
    with pytest.raises(AdapterError, match=r"layers 0 to 0, the model has layers 0 to 1"):
        continued(tmp_path, config)
    assert len(continued(tmp_path, config, AdapterSection(layers=(0,))).targets) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_modules": ["q_proj", "lm_head"]}, "trains lm_head with LoRA"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "embed_tokens with LoRA"),
        ({"trainable_token_indices": [5, 6]}, "uses trainable_token_indices"),
        ({"init_lora_weights": "olora"}, "began as olora"),
    ],
)
def test_what_peft_trains_and_tuner_does_not_is_refused(settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    config = write_adapter(tmp_path, **settings)
    with pytest.raises(AdapterError, match=message):
        continued(tmp_path, config)


def test_modules_with_ranks_of_their_own_are_counted_one_by_one(tmp_path: Path) -> None:
    config = write_adapter(tmp_path, rank_pattern={"q_proj": 16, "layers.1.mlp.up_proj": 2})
    plan = continued(tmp_path, config)
    assert plan.num_trainable == sum(tensor.num_elements for tensor in read_adapter(tmp_path).tensors)
    assert {plan.rank_of(target) for target in plan.targets} == {2, 4, 16}
    (told,) = [one for one in adapter_decisions(plan, AdapterSection()) if one.field == "adapter.rank"]
    assert told.value == "2, 4, 16"


def test_the_base_that_a_foreign_adapter_names_is_told(tmp_path: Path) -> None:
    config = write_adapter(tmp_path)
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    named = {**settings, "base_model_name_or_path": "unsloth/tiny-bnb-4bit"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(named))
    decisions = adapter_decisions(continued(tmp_path, config), AdapterSection(), read_adapter(tmp_path))
    assert "unsloth/tiny-bnb-4bit" in [one.value for one in decisions if one.field == "model.adapter"]


def test_a_recipe_that_contradicts_the_adapter_is_refused(tmp_path: Path) -> None:
    config = write_adapter(tmp_path)
    with pytest.raises(RecipeError, match=r"adapter.rank: is set, but .* has 4; leave it out"):
        continued(tmp_path, config, AdapterSection(rank=8))


def test_an_adapter_of_another_model_names_the_tensor(tmp_path: Path) -> None:
    config = write_adapter(tmp_path)
    with pytest.raises(AdapterError, match=r"does not fit the model at .*down_proj.lora_A.weight: the adapter has"):
        continued(tmp_path, {**config, "intermediate_size": 64})


def test_a_head_that_the_config_lost_is_trained_again(tmp_path: Path) -> None:
    config = write_adapter(tmp_path, modules_to_save=["lm_head"])
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "modules_to_save": None}))
    plan = continued(tmp_path, config)
    assert [module.path for module in plan.saved_modules] == ["lm_head"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"peft_type": "IA3"}, "is a IA3 adapter"),
        ({"peft_type": "LORA", "layer_replication": [[0, 1]]}, "uses layer_replication"),
        ({"peft_type": "LORA", "kasa_config": {"beta": 0.1}}, "uses kasa_config"),
        ({"peft_type": "LORA", "r": 4}, "says rank 4, the weights have none"),
    ],
)
def test_an_adapter_that_cannot_be_gone_on_with_is_refused(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    write_raw_weights(tmp_path / "adapter_model.safetensors", {}, b"")
    with pytest.raises(AdapterError, match=message):
        read_adapter(tmp_path)


def test_a_truncated_adapter_is_an_error_of_the_adapter(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").write_bytes(struct.pack("<Q", 99))
    with pytest.raises(AdapterError, match="truncated"):
        read_adapter(tmp_path)


def test_a_pickled_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4}')
    (tmp_path / "adapter_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(AdapterError, match="pickle"):
        read_adapter(tmp_path)


def rewritten(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Write other tensors into an adapter's file."""
    file = folder / "adapter_model.safetensors"
    save_file(change(load_file(file)), file)


def test_biases_that_were_trained_are_refused(tmp_path: Path) -> None:
    config = write_adapter(tmp_path, bias="all")
    assert continued(tmp_path, config).num_trainable > 0, "this model has no biases: none were trained"
    name = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.bias"
    rewritten(tmp_path, lambda tensors: {**tensors, name: next(iter(tensors.values()))[0].clone()})
    with pytest.raises(AdapterError, match="trains biases"):
        read_adapter(tmp_path)


def test_a_whole_models_dump_is_named_as_one(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    name = "base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight"
    rewritten(tmp_path, lambda tensors: {**tensors, name: next(iter(tensors.values())).clone()})
    with pytest.raises(AdapterError, match=r"q_proj both in full and as an adapter"):
        read_adapter(tmp_path)


def test_an_adapter_in_parts_is_not_called_a_pickle(tmp_path: Path) -> None:
    write_adapter(tmp_path)
    (tmp_path / "adapter_model.safetensors").rename(tmp_path / "adapter_model-00001-of-00002.safetensors")
    with pytest.raises(AdapterError, match="in parts"):
        read_adapter(tmp_path)


def test_a_folder_of_adapters_names_them(tmp_path: Path) -> None:
    write_adapter(tmp_path / "checkpoint-7")
    with pytest.raises(AdapterError) as caught:
        read_adapter(tmp_path)
    assert caught.value.hint == "Name one of the adapters in it: checkpoint-7."


def test_settings_that_tuner_does_not_know_are_told(tmp_path: Path) -> None:
    config = write_adapter(tmp_path)
    file = tmp_path / "adapter_config.json"
    assert read_adapter(tmp_path).unknown_settings == (), "all that PEFT itself writes is known"
    file.write_text(json.dumps({**json.loads(file.read_text()), "quantum_rank": 7, "old_switch": None}))
    inherited = read_adapter(tmp_path)
    told = adapter_decisions(continued(tmp_path, config), AdapterSection(), inherited)
    assert "quantum_rank" in [one.value for one in told if "does not know" in one.reason]


def test_a_head_trained_apart_from_its_tied_embeddings_is_named(tmp_path: Path) -> None:
    config = write_adapter(tmp_path, modules_to_save=["embed_tokens"], ensure_weight_tying=True)
    rewritten(tmp_path, lambda tensors: {name: one for name, one in tensors.items() if "embed_tokens" not in name})
    settings = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**settings, "modules_to_save": ["lm_head"]}))
    with pytest.raises(AdapterError, match="has trained lm_head and lacks embed_tokens"):
        continued(tmp_path, config)


def test_a_missing_adapter_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="does not exist"):
        read_adapter(tmp_path / "none")
