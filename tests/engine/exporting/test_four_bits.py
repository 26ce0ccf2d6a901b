"""Adapters that were trained on a 4-bit base: either base can be merged into, and the measured loss chooses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from tests.engine.exporting.made_adapters import exported, greedy, of, whole_model, write_adapter, write_strong_model
from tests.engine.tiny_runs import train
from tui_tuner.engine.exporting.nf4_weights import through_nf4
from tui_tuner.engine.lora import dense_weight
from tui_tuner.errors import AdapterError
from tui_tuner.exports import ExportKind, ExportProof

NF4 = BitsAndBytesConfig(
    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32
)
WIDE: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 96, "head_dim": 16}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nf4")
    model = write_strong_model(folder / "model", **WIDE)
    return train(folder, "model.quantization='nf4'", "data.evaluation_fraction=0.25", model=model).folder


def test_written_out_nf4_is_what_loading_in_four_bits_computes_with(tmp_path: Path) -> None:
    folder = write_strong_model(tmp_path / "base", **WIDE)
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, quantization_config=NF4)
    plain = whole_model(folder).get_submodule("model.layers.0.mlp.up_proj").weight
    packed = loaded.get_submodule("model.layers.0.mlp.up_proj").weight
    assert torch.equal(through_nf4(plain, torch.float32, torch.device("cpu")), dense_weight(packed))


def test_both_bases_are_measured_and_the_one_with_less_loss_is_taken(run: Path, tmp_path: Path) -> None:
    (proof,) = of(ExportProof, exported(run, ExportKind.MERGED, tmp_path / "merged"))
    losses = {one.base: one.loss for one in proof.measured}
    assert losses.keys() == {"16bit", "dequantised"}
    assert [one.base for one in proof.measured if one.is_chosen] == [min(losses, key=lambda base: losses[base])]


def test_dequantised_merge_has_the_loss_that_training_had(run: Path, tmp_path: Path) -> None:
    (proof,) = of(ExportProof, exported(run, ExportKind.MERGED, tmp_path / "merged", base="dequantised"))
    assert next(one for one in proof.measured if one.is_chosen).loss == proof.loss_live
    assert proof.passed


def test_stored_four_bit_base_is_written_out(tmp_path: Path) -> None:
    plain = write_strong_model(tmp_path / "plain", **WIDE)
    stored = write_strong_model(tmp_path / "stored", **WIDE)
    AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float32, quantization_config=NF4).save_pretrained(stored)
    adapter = write_adapter(tmp_path / "adapter", plain)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged", base_model=str(stored))
    assert "quantization_config" not in (tmp_path / "merged" / "config.json").read_text()
    assert greedy(whole_model(tmp_path / "merged")) != greedy(whole_model(plain))


def test_dequantised_is_refused_where_nothing_was_in_four_bits(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    with pytest.raises(AdapterError, match="not trained on a 4-bit base"):
        exported(adapter, ExportKind.MERGED, tmp_path / "merged", base="dequantised")
