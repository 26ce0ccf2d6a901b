"""A base in 8 bits: our layers beside the same base multiplied in full, whole runs beside an unquantised base, and what
is made of the adapter."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.engine.acceleration.twins import POLICIES, decoder_of, twins
from tests.engine.exporting.made_adapters import exported, of
from tests.engine.tiny_runs import Done, train
from tests.tiny import write_tiny_model
from tui_tuner.engine.chat import open_chat
from tui_tuner.engine.fp8_base import Fp8Linear, hold_in_fp8, through_fp8
from tui_tuner.engine.loading import load_model, load_module
from tui_tuner.errors import ModelError
from tui_tuner.events import ModelReady, ProofFinished
from tui_tuner.exports import ExportKind, ExportProof
from tui_tuner.kernels.layer.parts import InFp8

FP8 = 'model.quantization="fp8"'
CASES = ["llama_nf4", "llama_biases", "gemma3", "phi3", "granite_multipliers"]
"""Of these the smallest cosine of the gradients is 0.997, and the largest difference of the loss 0.03 %."""


def cosine(left: torch.Tensor, right: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(left, right, dim=0))


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_near_those_of_full_products(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, FP8, batches=["packed"])
    ours, theirs = pair.ours("packed"), pair.theirs["packed"]
    assert ours.loss == pytest.approx(theirs.loss, rel=2e-3)
    assert cosine(ours.flat, theirs.flat) > 0.99


@pytest.mark.parametrize("case", ["llama_nf4", "gemma3"])
def test_what_a_layer_keeps_changes_nothing(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, FP8, batches=[])
    kept = pair.ours("packed")
    for name, policy in POLICIES.items():
        again = pair.ours("packed", policy)
        assert again.loss == pytest.approx(kept.loss, rel=1e-6), name
        assert cosine(again.flat, kept.flat) > 0.99999, name


def test_a_model_that_our_layers_cannot_compute_is_refused(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "model", "cohere", vocab_size=264, use_qk_norm=True)
    with pytest.raises(ModelError, match="here they cannot: queries and keys have norms with a weight for each head"):
        twins(tmp_path, model, FP8, batches=[])


def test_the_models_own_modules_read_the_bytes_of_our_layers(tmp_path: Path) -> None:
    pair = twins(tmp_path, "llama_nf4", FP8, batches=[])
    weight = pair.model.module.get_parameter("model.layers.0.mlp.up_proj.weight")
    base = decoder_of(pair.prepared.model).stack.layers[0].gate_up.base
    assert isinstance(base, InFp8)
    assert weight.data_ptr() == base.weight.rows.values[len(weight) :].data_ptr()


def test_a_module_in_8_bits_multiplies_with_what_its_bytes_stand_for(tmp_path: Path) -> None:
    module, plain = (
        load_module(write_tiny_model(tmp_path), torch.device("cpu"), torch.float32, nf4_compute=None, remote_code=False)
        for _ in range(2)
    )
    hold_in_fp8(module)
    held, base = (one.get_submodule("model.layers.1.mlp.down_proj") for one in (module, plain))
    assert isinstance(held, Fp8Linear)
    assert isinstance(base, nn.Linear)
    x = torch.randn(3, base.in_features)
    assert torch.equal(held(x), x @ through_fp8(base.weight.data, torch.float32, torch.device("cpu")).T)


def test_a_base_that_fits_in_8_bits_only_is_loaded_by_way_of_the_host(tmp_path: Path) -> None:
    plan = twins(tmp_path, "llama_nf4", FP8, batches=[]).plan
    memory = plan.memory.model_copy(update={"available": plan.model.num_parameters})
    module = load_model(plan.model_copy(update={"memory": memory})).module
    assert isinstance(module.get_submodule("model.layers.0.self_attn.q_proj"), Fp8Linear)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Done, Done]:
    """In 8 bits and in its own."""
    folders = [tmp_path_factory.mktemp(name) for name in ("fp8", "plain")]
    settings = ("training.max_steps=25", "data.evaluation_fraction=0.25")
    return train(folders[0], *settings, FP8), train(folders[1], *settings, 'model.quantization="none"')


def test_a_run_learns_as_one_on_the_whole_base_does(runs: tuple[Done, Done]) -> None:
    eight, whole = (done.losses for done in runs)
    assert eight[-1] < eight[0] - 0.3
    assert eight == pytest.approx(whole, rel=0.02)


def test_a_run_says_what_computes_and_proves_what_it_saved(runs: tuple[Done, Done]) -> None:
    (ready,), (proof,) = runs[0].of(ModelReady), runs[0].of(ProofFinished)
    assert any("8-bit products" in swap for swap in ready.swaps)
    assert proof.passed, proof.message
    assert proof.max_difference_to_live < 1e-4


def test_a_merged_model_can_have_either_base(runs: tuple[Done, Done], tmp_path: Path) -> None:
    (proof,) = of(ExportProof, exported(runs[0].folder, ExportKind.MERGED, tmp_path / "merged", base="dequantised"))
    assert proof.passed
    assert {one.base for one in proof.measured} == {"16bit", "dequantised"}
    assert next(one for one in proof.measured if one.is_chosen).loss == proof.loss_live


def test_a_chat_puts_the_adapter_on_a_base_in_8_bits(runs: tuple[Done, Done]) -> None:
    chat = open_chat(str(runs[0].folder / "adapter"), device="cpu")
    assert any(isinstance(module, Fp8Linear) for module in chat.module.modules())
