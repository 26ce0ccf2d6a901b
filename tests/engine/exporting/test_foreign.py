"""Adapters that other trainers left are merged, chatted with and copied as PEFT's own."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.continuing.foreign_folders import TRAINERS
from tests.engine.exporting.made_adapters import (
    exported,
    greedy,
    live_model,
    of,
    whole_model,
    write_adapter,
    write_strong_model,
)
from tui_tuner.engine.exporting.merged import chosen_weights
from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.engine.exporting.source import open_source
from tui_tuner.engine.saving.foreign_adapter import put_on_base
from tui_tuner.exports import ExportKind, ExportProof, ExportRequest

OWN_STRENGTHS: dict[str, Any] = {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"layers.1.mlp.up_proj": 3}}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_strong_model(tmp_path_factory.mktemp("made") / "base")


@pytest.fixture(scope="module")
def made(base: Path) -> Path:
    """LoRA, embeddings and head, as PEFT saved them."""
    return write_adapter(base.parent / "made", base, modules_to_save=["embed_tokens", "lm_head"])


def as_left_by(trainer: str, made: Path, folder: Path) -> Path:
    shutil.copytree(made, folder)
    TRAINERS[trainer](folder)
    return folder


def weights_of(adapter: Path, base: Path) -> ModelWeights:
    source = open_source(ExportRequest(source=str(adapter), kinds=(ExportKind.MERGED,), base_model=str(base)))
    return chosen_weights(source, "16bit", "cpu")


@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_merged_tensor_is_that_of_the_adapter_as_peft_wrote_it(
    trainer: str, made: Path, base: Path, tmp_path: Path
) -> None:
    expected, found = weights_of(made, base), weights_of(as_left_by(trainer, made, tmp_path / "left"), base)
    assert all(torch.equal(expected.read(one.name), found.read(one.name)) for one in expected.entries)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_the_live_adapter_answers_as_peft_wrote_it(trainer: str, made: Path, base: Path, tmp_path: Path) -> None:
    left = as_left_by(trainer, made, tmp_path / "left")
    assert greedy(put_on_base(whole_model(base), left)) == greedy(live_model(made, base))


def test_a_foreign_adapter_is_merged_and_proved(made: Path, base: Path, tmp_path: Path) -> None:
    left = as_left_by("axolotl", made, tmp_path / "left")
    (proof,) = of(ExportProof, exported(left, ExportKind.MERGED, tmp_path / "merged", base_model=str(base)))
    assert proof.passed
    assert greedy(whole_model(tmp_path / "merged")) == greedy(live_model(made, base))


@pytest.mark.parametrize("use_rslora", [False, True])
def test_modules_with_ranks_and_alphas_of_their_own_are_merged(use_rslora: bool, base: Path, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", base, use_rslora=use_rslora, **OWN_STRENGTHS)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    assert greedy(whole_model(tmp_path / "merged")) == greedy(live_model(adapter, base))


def test_no_pickle_of_a_trainer_is_copied(made: Path, tmp_path: Path) -> None:
    exported(as_left_by("trl", made, tmp_path / "left"), ExportKind.ADAPTER, tmp_path / "copy")
    assert not [path for path in (tmp_path / "copy").iterdir() if path.suffix in (".bin", ".pt", ".pth")]
