"""Family data against what transformers builds: paths, shapes, classes, defaults."""

from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, meta_model
from tui_tuner.families import FAMILIES, GENERIC, ModelFamily, family_for

TINY_FAMILIES = [family for family in FAMILIES if family.tiny]
each_family = pytest.mark.parametrize("family", TINY_FAMILIES, ids=lambda family: family.name)


@each_family
def test_modules_are_those_that_transformers_builds(family: ModelFamily, tmp_path: Path) -> None:
    expected = {}
    for module in base_model(tmp_path, family.tiny).modules:
        expected[f"{module.path}.weight"] = module.weight
        if module.bias:
            expected[f"{module.path}.bias"] = (module.bias,)
    built = {name: tuple(tensor.shape) for name, tensor in meta_model(family.tiny).state_dict().items()}
    assert expected == built


@each_family
def test_classes_carry_the_expected_names(family: ModelFamily) -> None:
    model = meta_model(family.tiny)
    layer = model.get_submodule(f"{family.layers_path}.0")
    norm = model.get_submodule(family.final_norm_path)
    names = (type(model).__name__, type(layer).__name__, type(norm).__name__)
    assert names == (family.causal_lm_class, family.layer_class, family.norm_class)


@each_family
def test_fields_left_out_of_config_json_count_as_the_config_classes_defaults(
    family: ModelFamily, tmp_path: Path
) -> None:
    from transformers import AutoConfig

    few: dict[str, Any] = {"model_type": family.model_types[0], "hidden_size": 256, "num_attention_heads": 8}
    shape = base_model(tmp_path, few).facts
    config = AutoConfig.for_model(few["model_type"], hidden_size=256, num_attention_heads=8)
    assert shape.num_kv_heads == config.num_key_value_heads
    assert shape.head_dim == (getattr(config, "head_dim", None) or 256 // 8)
    assert (shape.vocab_size, shape.intermediate_size) == (config.vocab_size, config.intermediate_size)
    assert (shape.num_layers, shape.tied_embeddings) == (config.num_hidden_layers, config.tie_word_embeddings)
    assert shape.context_length == config.max_position_embeddings


@each_family
def test_logit_options_turn_the_heads_product_into_the_models_logits(family: ModelFamily) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    fields = {name: value for name, value in family.tiny.items() if name != "model_type"}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family.tiny["model_type"], **fields)).eval()
    tokens = torch.arange(3, 11)[None]
    hidden = model.get_decoder()(input_ids=tokens).last_hidden_state
    logits = hidden @ model.get_output_embeddings().weight.T * family.logit_scale(model.config)
    softcap = family.softcap(model.config)
    logits = logits if softcap is None else softcap * torch.tanh(logits / softcap)
    torch.testing.assert_close(logits, model(input_ids=tokens).logits)


def test_each_model_type_belongs_to_one_family() -> None:
    model_types = [model_type for family in FAMILIES for model_type in family.model_types]
    assert len(set(model_types)) == len(model_types)


def test_an_unknown_model_type_is_generic() -> None:
    assert family_for("mamba") is GENERIC
