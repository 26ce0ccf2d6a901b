"""Random models have the proportions of trained ones, so that rounding does not grow from layer to layer."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from tui_tuner.engine.bench import named_models
from tui_tuner.engine.bench.named_models import SHAPES, write_random_model


def loaded(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_scores_have_a_deviation_of_one(tmp_path: Path) -> None:
    attention = loaded(write_random_model(tmp_path, "tiny", torch.float32)).model.layers[0].self_attn
    x = torch.randn(200, SHAPES["tiny"]["hidden_size"], generator=torch.Generator().manual_seed(0))
    q, k = (one(x)[:, : attention.head_dim] for one in (attention.q_proj, attention.k_proj))
    assert float((q @ k.T * attention.scaling).std()) == pytest.approx(1.0, rel=0.25)


def test_all_layers_together_add_no_more_than_the_embeddings_are(tmp_path: Path) -> None:
    model = loaded(write_random_model(tmp_path, "tiny", torch.float32))
    ids = torch.randint(10, 500, (4, 64), generator=torch.Generator().manual_seed(0))
    states = model(ids, output_hidden_states=True).hidden_states
    before, after = states[0], states[-2]
    assert float(before.std()) == pytest.approx(1.0, rel=0.1)
    assert 0.1 < float((after - before).std()) < 1.0, "half of the layers, the final norm being part of the last state"


def test_a_tied_head_keeps_its_embeddings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(named_models.SHAPES, "tiny", {**SHAPES["tiny"], "tie_word_embeddings": True})
    model = loaded(write_random_model(tmp_path, "tiny", torch.float32))
    assert float(model.model.embed_tokens.weight.std()) == pytest.approx(0.02, rel=0.05)
    assert float(model.model.layers[0].self_attn.o_proj.weight.std()) == pytest.approx(64**-0.5, rel=0.05)
