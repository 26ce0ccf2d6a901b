"""Models that people train, from what their published config.json says, against PEFT on the meta device."""

from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, peft_counts
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.recipe import AdapterSection


def published(
    model_type: str, vocab: int, hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, **own: Any
) -> dict[str, Any]:
    sizes = {
        "model_type": model_type,
        "vocab_size": vocab,
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
    }
    return sizes | own


LLAMA_8B = published("llama", 128256, 4096, 14336, 32, 32, 8, tie_word_embeddings=False)
MODELS = {
    "Llama-3.1-8B": LLAMA_8B,
    "Llama-3.2-1B": published("llama", 128256, 2048, 8192, 16, 32, 8, head_dim=64, tie_word_embeddings=True),
    "gemma-2-9b": published("gemma2", 256000, 3584, 14336, 42, 16, 8, head_dim=256),
    "Qwen2.5-7B": published("qwen2", 152064, 3584, 18944, 28, 28, 4, tie_word_embeddings=False),
    "Qwen3-8B": published("qwen3", 151936, 4096, 12288, 36, 32, 8, head_dim=128, tie_word_embeddings=False),
    "Phi-3-mini": published("phi3", 32064, 3072, 8192, 32, 32, 32, pad_token_id=32000, tie_word_embeddings=False),
    "Mistral-7B": published("mistral", 32768, 4096, 14336, 32, 32, 8, tie_word_embeddings=False),
}
# The sums of the published weight files.
NUM_PARAMETERS = {
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.2-1B": 1_235_814_400,
    "gemma-2-9b": 9_241_705_984,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen3-8B": 8_190_735_360,
    "Phi-3-mini": 3_821_079_552,
    "Mistral-7B": 7_248_023_552,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_real_model_has_its_published_number_of_parameters(name: str, tmp_path: Path) -> None:
    assert base_model(tmp_path, MODELS[name]).facts.num_parameters == NUM_PARAMETERS[name]


@pytest.mark.parametrize("name", MODELS)
def test_all_linears_and_embeddings_of_a_real_model_count_as_pefts(name: str, tmp_path: Path) -> None:
    section = AdapterSection(rank=32, modules_to_save=("embed_tokens", "lm_head"))
    plan = plan_adapter(section, base_model(tmp_path, MODELS[name]))
    counts = peft_counts(MODELS[name], r=32, modules_to_save=["embed_tokens", "lm_head"])
    assert (plan.num_trainable, plan.num_total) == counts


def test_llama_8b_with_rank_16_trains_41_943_040(tmp_path: Path) -> None:
    assert plan_adapter(AdapterSection(), base_model(tmp_path, LLAMA_8B)).num_trainable == 41_943_040


def test_llama_8b_with_rank_32_and_both_embeddings_trains_12_3795_percent(tmp_path: Path) -> None:
    section = AdapterSection(rank=32, modules_to_save=("embed_tokens", "lm_head"))
    plan = plan_adapter(section, base_model(tmp_path, LLAMA_8B))
    assert (plan.num_trainable, plan.num_total) == (1_134_559_232, 9_164_820_480)
    assert round(plan.trainable_percent, 4) == 12.3795
