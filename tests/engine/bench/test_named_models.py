"""Random models have the proportions of trained ones, so that rounding does not grow from layer to layer."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tui_tuner.engine.bench import named_models
from tui_tuner.engine.bench.named_models import SHAPES, write_random_model


def deviations(folder: Path) -> dict[str, float]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    parts = ("embed_tokens", "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "down_proj", "lm_head")
    weights = dict(model.named_parameters())
    return {part: float(next(w.std() for name, w in weights.items() if part in name)) for part in parts if any(
        part in name for name in weights
    )}  # fmt: skip


def test_scores_are_of_one_and_layers_add_as_much_as_the_embeddings_are(tmp_path: Path) -> None:
    found = deviations(write_random_model(tmp_path, "tiny", torch.float32))
    root = SHAPES["tiny"]["hidden_size"] ** 0.5
    wanted = {"embed_tokens": 1.0, "q_proj": 0.25 / root, "k_proj": 0.25 / root, "v_proj": 0.02, "gate_proj": 0.02}
    wanted |= {"o_proj": 0.5 / root, "down_proj": 0.5 / root, "lm_head": 0.02}
    assert found == pytest.approx(wanted, rel=0.05)


def test_a_tied_head_keeps_its_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(named_models.SHAPES, "tiny", {**SHAPES["tiny"], "tie_word_embeddings": True})
    found = deviations(write_random_model(tmp_path, "tiny", torch.float32))
    assert found["embed_tokens"] == pytest.approx(0.02, rel=0.05)
    assert found["o_proj"] == pytest.approx(0.02, rel=0.05)
