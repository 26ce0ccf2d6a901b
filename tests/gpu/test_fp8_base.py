"""A base in 8 bits on a GPU that multiplies them: beside bfloat16 in one layer's gradients, in the loss of the first
step, and over thirty steps; all policies alike; nothing waits for the device."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.engine.acceleration.twins import BATCHES, POLICIES, Twins, twins, with_policy
from tests.engine.tiny_runs import train
from tests.gpu.test_decoder_layer import cosine, no_waiting
from tests.tiny import write_tiny_model
from tui_tuner.events import ProofFinished
from tui_tuner.kernels import fp8
from tui_tuner.kernels.checking import relative_error
from tui_tuner.kernels.fp8_rows import DTYPE, quantize_rows

CUDA = torch.device("cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or not fp8.is_supported(CUDA), reason="needs a GPU of compute capability 8.9"
    ),
]
ON_GPU, FP8 = 'acceleration.device="cuda"', 'model.quantization="fp8"'
STRENGTH = 0.01
"""Adapters as large as the weights, as other tests have them, magnify every rounding of a random model: 0.98 then."""
CASES = ["llama_nf4", "llama_biases", "qwen2_nf4", "gemma3", "phi3", "granite_multipliers"]


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator(CUDA).manual_seed(seed), device=CUDA).to(torch.bfloat16)


@pytest.mark.parametrize("spaced", [False, True])
def test_products_are_those_of_the_reference(spaced: bool) -> None:
    x, w, bias = randn(512, 1024), randn(768, 1024, seed=1), randn(768, seed=2)
    weight, rows = fp8.quantized_weight(w, keep_transposed=True), quantize_rows(x)
    wanted = (rows.values.double() * rows.scales) @ (weight.rows.values.double() * weight.rows.scales).T + bias
    out = torch.empty(512, 768 + 64 * spaced, dtype=torch.bfloat16, device=CUDA)[:, :768]
    # bfloat16 alone is 1.7e-3 off; sums of fewer bits may not add more than that again and a bit.
    assert relative_error(fp8.forward(rows, weight, out, bias), wanted) < 5e-3


@pytest.mark.parametrize("shape", [(4096, 14336), (200, 48)])
def test_bytes_are_turned(shape: tuple[int, int]) -> None:
    values = torch.randint(0, 255, shape, device=CUDA, dtype=torch.uint8)
    assert fp8.transposed(values.view(DTYPE)).view(torch.uint8).equal(values.t())


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_are_near_those_of_a_base_in_bfloat16(tmp_path: Path, case: str) -> None:
    (tmp_path / "whole").mkdir()
    pair, whole = (
        twins(folder, case, ON_GPU, held, batches=[], strength=STRENGTH)
        for folder, held in ((tmp_path, FP8), (tmp_path / "whole", 'model.quantization="none"'))
    )
    for batch in BATCHES:
        ours, wanted = pair.ours(batch), whole.ours(batch)
        assert ours.loss == pytest.approx(wanted.loss, rel=0.01)
        assert cosine(ours.flat, wanted.flat) > 0.99


def test_a_wide_layer_is_as_near(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    pair, whole = wide_twins(tmp_path, FP8), wide_twins(tmp_path / "whole", 'model.quantization="none"')
    ours, wanted = pair.ours("packed"), whole.ours("packed")
    assert ours.loss == pytest.approx(wanted.loss, rel=0.01)
    assert cosine(ours.flat, wanted.flat) > 0.99


def wide_twins(folder: Path, quantization: str) -> Twins:
    shape = {"hidden_size": 1024, "intermediate_size": 3072, "head_dim": 64, "num_attention_heads": 16}
    model = write_tiny_model(folder / "wide", "llama", vocab_size=264, num_key_value_heads=4, **shape)
    return twins(folder, model, ON_GPU, quantization, batches=[], strength=STRENGTH)


@pytest.mark.parametrize("case", ["llama_nf4", "gemma3"])
def test_what_a_layer_keeps_changes_next_to_nothing(tmp_path: Path, case: str) -> None:
    pair = twins(tmp_path, case, ON_GPU, FP8, batches=[])
    kept = pair.ours("packed")
    for name, policy in POLICIES.items():
        again = pair.ours("packed", policy)
        assert again.loss == kept.loss, name
        assert cosine(again.flat, kept.flat) > 0.9999, name


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_waits_for_the_device(tmp_path: Path, policy: str) -> None:
    pair = twins(tmp_path, "llama_nf4", ON_GPU, FP8, batches=[])
    model, batch = with_policy(pair.prepared.model, POLICIES[policy]), BATCHES["packed"].to(CUDA)
    model.loss(batch).loss.backward()
    with no_waiting():
        model.loss(batch).loss.backward()


def test_thirty_steps_go_as_those_on_a_base_in_bfloat16(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("fp8", "whole")]
    model = write_tiny_model(tmp_path / "model", "llama", hidden_size=256, intermediate_size=512, head_dim=64)
    runs = []
    for folder, held in zip(folders, ("fp8", "none"), strict=True):
        folder.mkdir()
        settings = ("training.max_steps=30", ON_GPU, f'model.quantization="{held}"', "optimizer.learning_rate=1e-3")
        runs.append(train(folder, *settings, model=model))
    eight, whole = (torch.tensor(run.losses) for run in runs)
    print("fp8 ", eight.tolist(), "\nbf16", whole.tolist())  # noqa: T201 - the curve for docs/performance.md
    assert eight[-5:].mean() < eight[:5].mean() - 0.1
    assert (eight - whole).abs().max() < 0.03 * whole.max()
    assert runs[0].of(ProofFinished)[0].passed
