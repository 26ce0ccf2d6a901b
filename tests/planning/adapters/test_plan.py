from pathlib import Path

import pytest

from tests.planning.model_folders import base_model
from tui_tuner.errors import ModelError, RecipeError
from tui_tuner.families.llama import LLAMA
from tui_tuner.families.qwen2 import QWEN2
from tui_tuner.plan import AdapterPlan
from tui_tuner.planning.adapters.plan import adapter_decisions, plan_adapter
from tui_tuner.recipe import AdapterSection


def plan(folder: Path, section: AdapterSection, tied: bool = False) -> AdapterPlan:
    return plan_adapter(section, base_model(folder, {**LLAMA.tiny, "tie_word_embeddings": tied}))


REFUSED = {
    'no linear module is called "q_porj"; did you mean "q_proj"': AdapterSection(targets=("q_porj",)),
    'no linear module is called "xyz"; there are q_proj, k_proj': AdapterSection(targets=("xyz",)),
    '"lm_head" is no linear module of a layer': AdapterSection(targets=("lm_head",)),
    'is written targets = "auto"': AdapterSection(targets=("all-linear",)),
    'no module is called "embed"; did you mean "embed_tokens"': AdapterSection(modules_to_save=("embed",)),
    "names layer 2; the model has layers 0 to 1": AdapterSection(layers=(0, 2)),
    "is an empty list": AdapterSection(layers=()),
    "o_proj is trained in full here and gets an adapter": AdapterSection(modules_to_save=("o_proj",)),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_name_that_fits_no_module_is_a_problem_of_the_recipe(message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(tmp_path, REFUSED[message])


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    section = AdapterSection(targets=("a",), modules_to_save=("b",), layers=(9,))
    with pytest.raises(RecipeError) as caught:
        plan(tmp_path, section)
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"adapter.targets", "adapter.modules_to_save", "adapter.layers"}


def test_a_tied_head_is_one_matrix_with_a_reason(tmp_path: Path) -> None:
    section = AdapterSection(modules_to_save=("embed_tokens",))
    tied = plan(tmp_path, section, tied=True)
    assert [(module.path, module.is_tied) for module in tied.saved_modules] == [
        ("model.embed_tokens", False),
        ("lm_head", True),
    ]
    assert tied.num_saved_module_parameters == 256 * 64
    assert any("one matrix" in decision.reason for decision in adapter_decisions(tied, section))


def test_rslora_scales_by_the_root_of_the_rank(tmp_path: Path) -> None:
    assert plan(tmp_path, AdapterSection(rank=16, alpha=32, variant="rslora+dora")).scaling == 8.0


def test_layers_limit_the_targets_and_not_the_whole_modules(tmp_path: Path) -> None:
    limited = plan(tmp_path, AdapterSection(layers=(1,), modules_to_save=("input_layernorm",)))
    assert {target.path.split(".")[2] for target in limited.targets} == {"1"}
    assert len(limited.saved_modules) == 2


def test_full_fine_tuning_trains_every_parameter(tmp_path: Path) -> None:
    base = base_model(tmp_path, QWEN2.tiny)
    full = plan_adapter(AdapterSection(method="full"), base)
    assert full.num_trainable == full.num_total == base.facts.num_parameters


def test_an_unknown_family_without_weights_has_no_countable_modules(tmp_path: Path) -> None:
    odd = {**LLAMA.tiny, "model_type": "odd", "architectures": ["OddForCausalLM"]}
    with pytest.raises(ModelError, match="odd is no known family"):
        plan_adapter(AdapterSection(), base_model(tmp_path, odd))
