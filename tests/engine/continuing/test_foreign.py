"""Adapters that PEFT wrote with settings of other trainers: gone on with, and read back by PEFT afterwards."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.engine.continuing.foreign_folders import TRAINERS
from tests.engine.tiny_runs import Done, train
from tests.tiny import write_tiny_model
from tui_tuner.events import AdapterAudited, ProofFinished


def made_by_peft(folder: Path, *, save_embedding_layers: bool = False, **settings: Any) -> Path:
    """An adapter of random weights on the tiny model, beside it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(write_tiny_model(folder / "model"))
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, **settings))
    torch.manual_seed(1)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted.save_pretrained(folder / "made", save_embedding_layers=save_embedding_layers)
    return folder / "made"


def go_on(folder: Path, adapter: Path) -> Done:
    return train(folder, f"model.adapter={adapter}", "data.evaluation_fraction=0.25", "training.max_steps=3")


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"]},
        {"target_modules": "all-linear", "exclude_modules": ["down_proj"], "use_rslora": True},
        {"target_modules": ["q_proj"], "layers_to_transform": [1], "modules_to_save": ["lm_head"], "use_dora": True},
        {"target_modules": "all-linear", "rank_pattern": {"q_proj": 8}, "alpha_pattern": {"1.mlp.up_proj": 3}},
    ],
)
def test_what_peft_made_peft_reads_back(settings: dict[str, Any], tmp_path: Path) -> None:
    second = go_on(tmp_path, made_by_peft(tmp_path, **settings))
    (audited,), (proof,) = second.of(AdapterAudited), second.of(ProofFinished)
    assert proof.passed
    assert not audited.base_confirmed
    assert all(group.expected == group.trainable for group in audited.groups)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_an_adapter_of_any_trainer_is_trained_again_whole(trainer: str, tmp_path: Path) -> None:
    adapter = made_by_peft(tmp_path, target_modules="all-linear", modules_to_save=["embed_tokens", "lm_head"])
    TRAINERS[trainer](adapter)
    (audited,) = go_on(tmp_path, adapter).of(AdapterAudited)
    assert {group.name: group.trainable for group in audited.groups} == {
        "lora": 3712, "embedding": 8448, "head": 8448,
    }  # fmt: skip
    assert all(group.expected == group.trainable for group in audited.groups)


def test_embeddings_that_were_saved_beside_the_adapter_are_trained(tmp_path: Path) -> None:
    adapter = made_by_peft(tmp_path, target_modules=["q_proj"], save_embedding_layers=True)
    (audited,) = go_on(tmp_path, adapter).of(AdapterAudited)
    assert {group.name: group.trainable for group in audited.groups} == {
        "lora": 512, "embedding": 8448, "head": 8448,
    }  # fmt: skip


def test_the_loss_that_a_trainer_logged_is_shown(tmp_path: Path) -> None:
    adapter = made_by_peft(tmp_path, target_modules=["q_proj"])
    log = [{"loss": 3.0, "step": 10}, {"eval_loss": 2.5, "step": 10}, {"train_runtime": 9.0, "step": 20}]
    (adapter / "trainer_state.json").write_text(json.dumps({"log_history": log}))
    (audited,) = go_on(tmp_path, adapter).of(AdapterAudited)
    assert (audited.loss_logged, audited.step_logged, audited.is_same_data) == (2.5, 10, False)
