"""Every count of a plan against PEFT's own, over all families, on models without memory."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, peft_counts
from tui_tuner.families import FAMILIES, ConfigValue, ModelFamily
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.recipe import AdapterSection

TINY_FAMILIES = [family for family in FAMILIES if family.tiny]
CASES: dict[str, tuple[AdapterSection, dict[str, Any]]] = {
    "lora": (AdapterSection(rank=4), {}),
    "dora": (AdapterSection(rank=4, variant="dora"), {"use_dora": True}),
    "rslora": (AdapterSection(rank=4, variant="rslora"), {"use_rslora": True}),
    "embed": (AdapterSection(rank=4, modules_to_save=("embed_tokens",)), {"modules_to_save": ["embed_tokens"]}),
    "head": (AdapterSection(rank=4, modules_to_save=("lm_head",)), {"modules_to_save": ["lm_head"]}),
    "both": (
        AdapterSection(rank=4, modules_to_save=("embed_tokens", "lm_head")),
        {"modules_to_save": ["embed_tokens", "lm_head"]},
    ),
    "norms": (AdapterSection(rank=4, modules_to_save=("norm",)), {"modules_to_save": ["norm"]}),
    "one_norm": (
        AdapterSection(rank=4, modules_to_save=("input_layernorm",)),
        {"modules_to_save": ["input_layernorm"]},
    ),
    "one_target": (AdapterSection(rank=4, targets=("down_proj",)), {"target_modules": ["down_proj"]}),
}
TIED_CASES = ("lora", "embed", "head", "both")


@pytest.mark.parametrize(("case", "tied"), [*((case, False) for case in CASES), *((case, True) for case in TIED_CASES)])
@pytest.mark.parametrize("family", TINY_FAMILIES, ids=lambda family: family.name)
def test_counts_equal_pefts(family: ModelFamily, case: str, tied: bool, tmp_path: Path) -> None:
    section, settings = CASES[case]
    config = dict(family.tiny) | {"tie_word_embeddings": tied}
    plan = plan_adapter(section, base_model(tmp_path, config))
    assert (plan.num_trainable, plan.num_total) == peft_counts(config, **settings)


@pytest.mark.parametrize("family", TINY_FAMILIES, ids=lambda family: family.name)
def test_one_layer_counts_as_pefts(family: ModelFamily, tmp_path: Path) -> None:
    plan = plan_adapter(AdapterSection(rank=4, layers=(1,)), base_model(tmp_path, family.tiny))
    names = list(plan.target_names)
    assert (plan.num_trainable, plan.num_total) == peft_counts(
        family.tiny, target_modules=names, layers_to_transform=[1]
    )


SWITCHED_ON: list[dict[str, ConfigValue]] = [
    {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    {"model_type": "qwen3", "attention_bias": True},
    {"model_type": "cohere", "use_qk_norm": True},
    {"model_type": "granite", "attention_bias": True, "mlp_bias": True},
    {"model_type": "gemma2", "attention_bias": True},
]


@pytest.mark.parametrize("switches", SWITCHED_ON, ids=lambda one: str(one["model_type"]))
def test_biases_and_norms_that_the_config_switches_on_are_counted(
    switches: Mapping[str, ConfigValue], tmp_path: Path
) -> None:
    family = next(one for one in TINY_FAMILIES if switches["model_type"] in one.model_types)
    config = dict(family.tiny) | dict(switches)
    plan = plan_adapter(AdapterSection(rank=4, modules_to_save=("norm",)), base_model(tmp_path, config))
    assert (plan.num_trainable, plan.num_total) == peft_counts(config, modules_to_save=["norm"])
