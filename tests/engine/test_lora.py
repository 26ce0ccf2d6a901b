"""Our adapters compute what PEFT's compute: outputs and gradients, for each variant."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model

from tests.tiny import tiny_model
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.proof import remove_adapters
from tui_tuner.errors import ModelError
from tui_tuner.plan import AdapterPlan, LoraTarget, TrainedModule

NAMES = ("q_proj", "v_proj", "down_proj")
VARIANTS = [(False, False), (True, False), (False, True), (True, True)]
TOKENS = torch.randint(5, 260, (2, 12), generator=torch.Generator().manual_seed(1))


def adapter_plan(model: Any, *, rslora: bool = False, dora: bool = False, saved: tuple[str, ...] = ()) -> AdapterPlan:
    targets = tuple(
        LoraTarget(path=path, in_features=one.in_features, out_features=one.out_features, num_trainable=0)
        for path, one in model.named_modules()
        if path.rpartition(".")[2] in NAMES
    )
    whole = tuple(TrainedModule(path=path, group="other", num_parameters=0) for path in saved)
    count = sum(4 * (one.in_features + one.out_features) + dora * one.out_features for one in targets)
    whole_count = sum(p.numel() for path in saved for p in model.get_submodule(path).parameters())
    return AdapterPlan(
        method="lora", rank=4, alpha=16, scaling=16 / 2 if rslora else 16 / 4, dropout=0.0, use_rslora=rslora,
        use_dora=dora, target_names=NAMES, targets=targets, layers=None, modules_to_save=saved, saved_modules=whole,
        num_adapter_parameters=count, num_saved_module_parameters=whole_count, num_trainable=count + whole_count,
        num_total=0, adapter_bytes=0,
    )  # fmt: skip


def peft_twin(trained: TrainedSet, *, rslora: bool, dora: bool) -> Any:
    """The same model under PEFT, with B made non-zero and all adapter tensors copied to ours."""
    config = LoraConfig(r=4, lora_alpha=16, target_modules=list(NAMES), use_rslora=rslora, use_dora=dora)
    twin = get_peft_model(tiny_model(), config)
    theirs = {name.replace(".default", ""): parameter for name, parameter in twin.named_parameters()}
    torch.manual_seed(2)
    for one in trained.tensors:
        parameter = theirs[one.saved_names[0].removesuffix(".weight") + ".weight"]
        with torch.no_grad():
            parameter.copy_(torch.randn_like(parameter) * 0.1 if one.group == "lora_B" else parameter)
            one.parameter.copy_(parameter)
    return twin


@pytest.mark.parametrize(("rslora", "dora"), VARIANTS)
def test_outputs_and_gradients_equal_pefts(rslora: bool, dora: bool) -> None:
    model = tiny_model()
    trained = add_adapters(model, adapter_plan(model, rslora=rslora, dora=dora), torch.float32)
    twin = peft_twin(trained, rslora=rslora, dora=dora)
    ours, theirs = model(TOKENS).logits, twin(TOKENS).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    ours.square().mean().backward()
    theirs.square().mean().backward()
    gradients = {name.replace(".default", ""): one.grad for name, one in twin.named_parameters() if one.requires_grad}
    for one in trained.tensors:
        wanted = gradients[one.saved_names[0].removesuffix(".weight") + ".weight"]
        torch.testing.assert_close(one.parameter.grad, wanted, rtol=1e-3, atol=1e-6)


def test_a_fresh_adapter_changes_nothing() -> None:
    model = tiny_model()
    before = model(TOKENS).logits
    add_adapters(model, adapter_plan(model, dora=True), torch.float32)
    torch.testing.assert_close(model(TOKENS).logits, before)


def test_state_dict_keys_of_the_base_do_not_change() -> None:
    model = tiny_model()
    before = set(model.state_dict())
    add_adapters(model, adapter_plan(model), torch.float32)
    assert before <= set(model.state_dict())


def test_without_its_adapters_a_model_is_its_base_whole_modules_included() -> None:
    model = tiny_model()
    base = model(TOKENS).logits
    trained = add_adapters(model, adapter_plan(model, saved=("lm_head", "model.norm")), torch.float32)
    with torch.no_grad():
        for one in trained.tensors:
            one.parameter.add_(0.1)
    assert not torch.allclose(model(TOKENS).logits, base)
    torch.testing.assert_close(remove_adapters(model, trained)(TOKENS).logits, base)


def test_only_what_the_plan_names_is_trained() -> None:
    model = tiny_model()
    trained = add_adapters(model, adapter_plan(model, saved=("lm_head",)), torch.float32)
    open_parameters = {id(one) for one in model.parameters() if one.requires_grad}
    assert open_parameters == {id(one.parameter) for one in trained.tensors}


def test_counts_that_differ_from_the_plan_are_refused() -> None:
    model = tiny_model()
    plan = adapter_plan(model).model_copy(update={"num_trainable": 7})
    with pytest.raises(ModelError, match="trains 7 parameters"):
        add_adapters(model, plan, torch.float32)


def test_a_tied_matrix_is_trained_once_and_saved_under_both_names() -> None:
    model = tiny_model(tie_word_embeddings=True)
    plan = adapter_plan(model, saved=("model.embed_tokens",))
    trained = add_adapters(model, plan, torch.float32)
    whole = [one for one in trained.tensors if one.group == "other"]
    assert [one.saved_names for one in whole] == [
        ("base_model.model.model.embed_tokens.weight", "base_model.model.lm_head.weight")
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_whole_modules_hold_float32_and_answer_in_the_compute_type(dtype: torch.dtype) -> None:
    model = tiny_model().to(dtype)
    trained = add_adapters(model, adapter_plan(model, saved=("model.embed_tokens", "model.norm", "lm_head")), dtype)
    assert {one.parameter.dtype for one in trained.tensors} == {torch.float32}
    assert model(TOKENS).logits.dtype == dtype
