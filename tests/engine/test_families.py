"""Each family computes through our head and our packing what its Hugging Face model computes by itself."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.tiny_runs import greetings, recipe_in, train, write_rows
from tests.tiny import write_tiny_model
from tui_tuner.data.labels import NOT_TRAINED, LabelledExample
from tui_tuner.data.rows import RowRef
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.batches import MicroBatch, collate
from tui_tuner.engine.loading import load_model
from tui_tuner.engine.model import TrainingModel
from tui_tuner.errors import ModelError
from tui_tuner.events import ModelReady, ProofFinished
from tui_tuner.families import FAMILIES
from tui_tuner.hardware import Hardware
from tui_tuner.planning.run_plan import make_plan

WINDOW = 16
LENGTHS = (20, 33, 9, 26)
"""Of the test rows: together longer than every window, and most longer than one by themselves."""
CPU = Hardware(gpus=(), cpu_count=2, ram_bytes=2**34, ram_free_bytes=2**34)
TEXT_PART = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
IMAGES: dict[str, Any] = {
    "model_type": "gemma3",
    "text_config": {
        **TEXT_PART, "num_key_value_heads": 2, "head_dim": 8, "vocab_size": 264, "sliding_window": WINDOW,
    },
    "vision_config": {**TEXT_PART, "image_size": 28, "patch_size": 14},
    "mm_tokens_per_image": 4, "image_token_index": 262, "boi_token_index": 260, "eoi_token_index": 261,
}  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    **{family.name: dict(family.tiny) for family in FAMILIES if family.tiny},
    "gemma3_with_images": IMAGES,
    "mistral_window": {"model_type": "mistral", "sliding_window": WINDOW},
    "phi3_window": {"model_type": "phi3", "sliding_window": WINDOW, "head_dim": 8},
    "qwen2_window": {
        "model_type": "qwen2", "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1,
    },
    "llama_biases": {"model_type": "llama", "attention_bias": True, "mlp_bias": True},
    "granite_multipliers": {
        "model_type": "granite", "residual_multiplier": 0.3, "embedding_multiplier": 2.5, "attention_multiplier": 0.2,
    },
    "llama_nf4": {"model_type": "llama", "intermediate_size": 128, "hidden_size": 64},
    "qwen2_nf4": {"model_type": "qwen2", "intermediate_size": 128, "hidden_size": 64},
    "granite_tied": {"model_type": "granite", "tie_word_embeddings": True, "logits_scaling": 8.0},
}  # fmt: skip
each_case = pytest.mark.parametrize("case", CASES)
LEAKING = {"ffn_dim": 48, "word_embed_proj_dim": 32}
UNKNOWN: dict[str, dict[str, Any]] = {
    "gpt_neox": {"num_key_value_heads": 4},
    "stablelm": {},
    "olmo": {},
}


def test_every_family_has_a_case() -> None:
    assert {family.name for family in FAMILIES} <= set(CASES)


def write_case(folder: Path, case: str) -> Path:
    settings: dict[str, Any] = {"head_dim": 16, **CASES[case], "vocab_size": 264}
    return write_tiny_model(folder / "model", settings.pop("model_type"), **settings)


def load_case(folder: Path, case: str) -> tuple[TrainingModel, TrainedSet]:
    """The model as a run would load it, with adapters that do something."""
    plan = make_plan(recipe_in(folder, model=write_case(folder, case)), CPU)
    model = load_model(plan)
    trained = add_adapters(model.module, plan.adapter, model.compute_dtype)
    torch.manual_seed(1)
    for one in trained.tensors:
        torch.nn.init.normal_(one.parameter, std=0.1)
    return model, trained


def rows() -> list[LabelledExample]:
    """Rows of random tokens; the second half of each is trained."""
    draw = np.random.default_rng(2)
    tokens = [draw.integers(5, 259, length, dtype=np.int32) for length in LENGTHS]
    return [
        LabelledExample(
            ref=RowRef("rows", number), kind="document", input_ids=ids, prompt_ids=ids[:1], answer_start=1,
            labels=np.where(np.arange(len(ids)) < len(ids) // 2, np.int32(NOT_TRAINED), ids),
        )
        for number, ids in enumerate(tokens)
    ]  # fmt: skip


def gradients(model: TrainingModel, trained: TrainedSet, batch: MicroBatch) -> list[torch.Tensor]:
    parameters = [one.parameter for one in trained.tensors]
    return list(torch.autograd.grad(model.loss(batch).loss, parameters))


def log_probabilities(model: TrainingModel, batches: Sequence[MicroBatch]) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat([model.loss(batch).log_probabilities for batch in batches])


@each_case
def test_our_head_gives_the_loss_and_gradients_of_the_models_own_logits(tmp_path: Path, case: str) -> None:
    model, trained = load_case(tmp_path, case)
    assert model.head is not None
    batch = collate(rows(), [(index,) for index in range(len(LENGTHS))])
    own = replace(model, head=None)
    assert model.loss(batch).loss.item() == pytest.approx(own.loss(batch).loss.item(), rel=1e-6)
    torch.testing.assert_close(log_probabilities(model, [batch]), log_probabilities(own, [batch]), atol=1e-5, rtol=0)
    for ours, theirs in zip(gradients(model, trained, batch), gradients(own, trained, batch), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@each_case
def test_packed_rows_have_the_losses_and_gradients_of_rows_alone(tmp_path: Path, case: str) -> None:
    model, trained = load_case(tmp_path, case)
    packed = collate(rows(), [tuple(range(len(LENGTHS)))])
    alone = [collate(rows(), [(index,)]) for index in range(len(LENGTHS))]
    torch.testing.assert_close(log_probabilities(model, [packed]), log_probabilities(model, alone), atol=1e-5, rtol=0)
    summed = [sum(parts) for parts in zip(*(gradients(model, trained, one) for one in alone), strict=True)]
    for ours, theirs in zip(gradients(model, trained, packed), summed, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@each_case
def test_packed_and_padded_bins_beside_each_other_keep_their_losses(tmp_path: Path, case: str) -> None:
    model, _ = load_case(tmp_path, case)
    order = (0, 1, 2, 3)
    both = collate(rows(), [order[:3], order[3:]])
    alone = [collate(rows(), [(index,)]) for index in order]
    torch.testing.assert_close(log_probabilities(model, [both]), log_probabilities(model, alone), atol=1e-5, rtol=0)


@pytest.mark.parametrize("model_type", UNKNOWN)
def test_an_unknown_architecture_trains_and_says_that_it_is_not_accelerated(tmp_path: Path, model_type: str) -> None:
    model = write_tiny_model(tmp_path / "model", model_type, **UNKNOWN[model_type])
    done = train(tmp_path, "data.packing=true", "data.max_length=64", model=model)
    (ready,) = done.of(ModelReady)
    assert "loss from the model's own logits" in ready.swaps
    assert done.of(ProofFinished)[0].passed


def test_an_unknown_architecture_that_mixes_packed_rows_is_refused_when_told_to_pack(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", "opt", **LEAKING)
    with pytest.raises(ModelError, match="opt does not keep packed rows apart"):
        train(tmp_path, "data.packing=true", "data.max_length=64", model=model)


def test_an_unknown_architecture_does_not_pack_by_itself(tmp_path: Path) -> None:
    write_rows(tmp_path / "rows.jsonl", greetings(2001))
    settings = ("data.packing=auto", "data.max_length=256")
    known, unknown = (
        make_plan(recipe_in(tmp_path, *settings, model=write_tiny_model(tmp_path / name, name)), CPU)
        for name in ("llama", "stablelm")
    )
    assert (known.data.packing, unknown.data.packing) == (True, False)
    assert any("stablelm is no known family" in decision.reason for decision in unknown.decisions)


def test_a_model_with_images_trains_its_text_part_with_and_without_our_head(tmp_path: Path) -> None:
    model = write_case(tmp_path, "gemma3_with_images")
    ours = train(tmp_path, "data.evaluation_fraction=0.2", model=model)
    own = train(tmp_path, 'acceleration.kernels="off"', "output.name=own", "data.evaluation_fraction=0.2", model=model)
    assert own.losses == pytest.approx(ours.losses, abs=1e-5)
