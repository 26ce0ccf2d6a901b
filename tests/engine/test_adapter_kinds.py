"""Every kind of adapter trains end to end, is proved, and is what PEFT loads from the folder."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from tests.engine.tiny_runs import Done, greetings, train, write_rows
from tests.tiny import byte_tokenizer, write_tiny_model
from tui_tuner.engine.saving.files import file_hash
from tui_tuner.events import ModelReady, ProofFinished

TOKENS = torch.arange(10, 40)[None]
EMBEDDINGS = 'adapter.modules_to_save=["embed_tokens", "lm_head"]'
RATES = ("optimizer.embedding_learning_rate=0.002", "optimizer.norm_learning_rate=0.003")
KINDS = {
    "lora": (),
    "rslora": ("adapter.variant=rslora",),
    "dora": ("adapter.variant=dora",),
    "rslora+dora": ("adapter.variant=rslora+dora",),
    "some targets": ('adapter.targets=["q_proj", "down_proj"]',),
    "one layer": ("adapter.layers=[1]",),
    "dropout": ("adapter.dropout=0.5",),
    "norms": ('adapter.modules_to_save=["norm"]',),
    "embeddings": (EMBEDDINGS,),
    "bfloat16": ("model.dtype=bfloat16", EMBEDDINGS),
    "without our head": ("acceleration.kernels=off", EMBEDDINGS),
}


def with_peft(done: Done, **settings: Any) -> Any:
    """The saved adapter on a fresh base."""
    config = PeftConfig.from_pretrained(str(done.folder / "adapter"))
    base = AutoModelForCausalLM.from_pretrained(config.base_model_name_or_path, **settings)
    return PeftModel.from_pretrained(base, str(done.folder / "adapter")).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_trained_proved_and_loaded_by_peft(tmp_path: Path, kind: str) -> None:
    done = train(tmp_path, *KINDS[kind])
    assert done.losses[1] < done.losses[0]
    assert done.of(ProofFinished)[0].passed
    model = with_peft(done)
    with torch.no_grad():
        tuned = model(TOKENS).logits
        with model.disable_adapter():
            assert not torch.equal(tuned, model(TOKENS).logits)


@pytest.mark.parametrize("is_tied", [False, True])
def test_embeddings_and_head_train_at_their_own_rate(tmp_path: Path, is_tied: bool) -> None:
    model = write_tiny_model(tmp_path / "model", tie_word_embeddings=is_tied)
    done = train(tmp_path, EMBEDDINGS, *RATES, model=model)
    rates = {group.name: group.learning_rate for group in done.of(ModelReady)[0].groups}
    expected = {"lora_A": 0.01, "lora_B": 0.01, "embedding": 0.002}
    assert rates == (expected if is_tied else expected | {"head": 0.002})
    names = ("model.embed_tokens.weight", "lm_head.weight")
    table, head = (done.adapter[f"base_model.model.{name}"] for name in names)
    assert torch.equal(table, head) == is_tied


def test_norms_and_other_whole_modules_train_at_the_norm_rate(tmp_path: Path) -> None:
    modules = 'adapter.modules_to_save=["norm", "v_proj"]'
    done = train(tmp_path, modules, 'adapter.targets=["q_proj"]', *RATES)
    rates = {group.name: group.learning_rate for group in done.of(ModelReady)[0].groups}
    assert rates == {"lora_A": 0.01, "lora_B": 0.01, "norm": 0.003, "other": 0.003}


def test_the_ratio_of_lora_plus_is_that_of_b_over_a(tmp_path: Path) -> None:
    done = train(tmp_path, "optimizer.lora_plus_ratio=16", "optimizer.learning_rate=0.001", "training.max_steps=1")
    rates = {group.name: group.learning_rate for group in done.of(ModelReady)[0].groups}
    assert rates == {"lora_A": 0.001, "lora_B": 0.016}


def test_norms_and_magnitudes_do_not_decay(tmp_path: Path) -> None:
    norms = 'adapter.modules_to_save=["norm"]'
    done = train(tmp_path, "adapter.variant=dora", norms, "optimizer.weight_decay=0.1", "training.max_steps=1")
    decays = {group.name: group.weight_decay for group in done.of(ModelReady)[0].groups}
    assert decays == {"lora_A": 0.1, "lora_B": 0.1, "magnitude": 0.0, "norm": 0.0}


def test_an_nf4_base_trains_and_is_proved(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", hidden_size=64, intermediate_size=128, head_dim=16)
    done = train(tmp_path, "model.quantization=nf4", model=model)
    assert done.losses[1] < done.losses[0]
    assert done.of(ProofFinished)[0].passed
    assert json.loads((done.folder / "adapter/manifest.json").read_text())["base"]["quantization"] == "nf4"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_full_fine_tuning_leaves_a_whole_model_in_its_type(tmp_path: Path, dtype: str) -> None:
    done = train(tmp_path, "adapter.method=full", f"model.dtype={dtype}")
    assert done.losses[1] < done.losses[0]
    assert done.of(ProofFinished)[0].passed
    model = AutoModelForCausalLM.from_pretrained(done.folder / "model", dtype="auto")
    assert model.dtype == getattr(torch, dtype)
    manifest = json.loads((done.folder / "model/manifest.json").read_text())
    assert manifest["num_trainable"] == sum(one.numel() for one in model.parameters())


def test_an_adapter_made_by_peft_goes_on_from_its_loss(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model")
    torch.manual_seed(3)
    made = get_peft_model(
        AutoModelForCausalLM.from_pretrained(model),
        LoraConfig(r=4, target_modules=["q_proj", "up_proj"], init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    made.save_pretrained(tmp_path / "made")
    go_on = (f"model.adapter={tmp_path / 'made'}", "training.max_steps=1")
    done = train(tmp_path, *go_on, "training.micro_batch_size=12")
    assert done.losses[0] == pytest.approx(plain_loss(made.eval()), abs=1e-5)


@torch.no_grad()
def plain_loss(model: Any) -> float:
    """Mean loss of the greetings' answers, row by row, by the model itself."""
    total, count = 0.0, 0
    for row in greetings():
        prompt = f"<|im_start|>user\n{row['prompt']}<|im_end|>\n<|im_start|>assistant\n"
        ids, start = (
            byte_tokenizer()(text, return_tensors="pt").input_ids
            for text in (prompt + f"{row['completion']}<|im_end|>", prompt)
        )
        trained = ids.shape[1] - start.shape[1]
        logits = model(ids).logits[0, -trained - 1 : -1]
        total += torch.nn.functional.cross_entropy(logits, ids[0, -trained:], reduction="sum").item()
        count += trained
    return total / count


def test_a_run_goes_on_from_the_adapter_of_another(tmp_path: Path) -> None:
    first = train(tmp_path, EMBEDDINGS, "data.evaluation_fraction=0.2")
    second = train(
        tmp_path, f"model.adapter={first.folder / 'adapter'}", "output.name=two",
        "data.evaluation_fraction=0.2",
    )  # fmt: skip
    assert second.eval_losses[0] == pytest.approx(first.eval_losses[-1], abs=1e-6)
    assert second.eval_losses[-1] < second.eval_losses[0]


def test_the_manifest_lists_every_trained_tensor_and_the_hash_of_every_file(tmp_path: Path) -> None:
    done = train(tmp_path, EMBEDDINGS, "adapter.variant=dora")
    folder = done.folder / "adapter"
    manifest = json.loads((folder / "manifest.json").read_text())
    listed = {name: one for one in manifest["tensors"] for name in one["saved_names"]}
    assert listed.keys() == done.adapter.keys()
    for name, tensor in done.adapter.items():
        assert (listed[name]["shape"], listed[name]["dtype"]) == (list(tensor.shape), "float32")
    assert {one["group"] for one in listed.values()} == {"lora_A", "lora_B", "magnitude", "embedding", "head"}
    files = {path.name: file_hash(path) for path in folder.iterdir() if path.name != "manifest.json"}
    assert manifest["files"] == files
    assert set(files) >= {"README.md", "adapter_config.json", "tokenizer.json", "chat_template.jinja"}


def test_the_adapter_names_its_base_as_the_recipe_says(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", greetings())
    done = train(tmp_path, "export.base_name=acme/tiny", "training.max_steps=1")
    config = PeftConfig.from_pretrained(str(done.folder / "adapter"))
    assert config.base_model_name_or_path == "acme/tiny"
    assert "base_model: acme/tiny" in (done.folder / "adapter/README.md").read_text()
