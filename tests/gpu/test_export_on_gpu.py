"""Exports of adapters that were trained on a GPU: merging from 16-bit and NF4 bases, proved on the GPU itself."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.engine.exporting.made_adapters import exported, finished, greedy, of, up_to_end, whole_model
from tests.engine.tiny_runs import Done, train
from tests.tiny import write_tiny_model
from tui_tuner.exports import ExportKind, ExportProof

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU; none is visible"),
]
SETTINGS = (
    "acceleration.device=cuda", "training.max_steps=20", "optimizer.learning_rate=0.02",
    "data.evaluation_fraction=0.25",
)  # fmt: skip
BASES = {"bf16": (), "nf4": ("model.quantization=nf4",)}
PROMPT = (1, 10, 50, 70, 20)


def trained(folder: Path, *settings: str) -> Done:
    write_tiny_model(
        folder / "model", hidden_size=256, intermediate_size=512, head_dim=64, num_attention_heads=4,
        num_key_value_heads=2,
    )  # fmt: skip
    return train(folder, *SETTINGS, *settings)


@pytest.fixture(scope="module", params=BASES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One run on each kind of base, with embeddings and head."""
    whole = 'adapter.modules_to_save=["embed_tokens", "lm_head"]'
    return trained(tmp_path_factory.mktemp(request.param), whole, *BASES[request.param])


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_merge_is_proved_on_either_device(device: str, run: Done, tmp_path: Path) -> None:
    (proof,) = of(ExportProof, exported(run.folder, ExportKind.MERGED, tmp_path / "merged", device=device))
    assert proof.passed, proof.checks


def test_merging_on_a_gpu_writes_what_merging_on_a_processor_writes(run: Done, tmp_path: Path) -> None:
    for device in ("cuda", "cpu"):
        exported(run.folder, ExportKind.MERGED, tmp_path / device, device=device, base="16bit")
    one, other = (load_file(tmp_path / device / "model.safetensors") for device in ("cuda", "cpu"))
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_merge_into_the_four_bit_weights_has_the_loss_that_training_had(tmp_path: Path) -> None:
    run = trained(tmp_path, *BASES["nf4"])
    (proof,) = of(ExportProof, exported(run.folder, ExportKind.MERGED, tmp_path / "merged", base="dequantised"))
    assert proof.passed, proof.checks
    assert proof.loss_live == pytest.approx(run.eval_losses[-1], rel=0.02)


def test_llama_cpp_writes_what_the_merged_model_writes(run: Done, tmp_path: Path) -> None:
    from tests.engine.exporting.llama_cpp import LlamaCpp

    exported(run.folder, ExportKind.MERGED, tmp_path / "merged", base="16bit")
    (path,) = finished(exported(run.folder, ExportKind.GGUF, tmp_path / "gguf", quantization="f32", base="16bit"))
    expected = greedy(whole_model(tmp_path / "merged"), PROMPT)
    assert LlamaCpp(path).greedy(PROMPT, len(expected)) == up_to_end(expected)
