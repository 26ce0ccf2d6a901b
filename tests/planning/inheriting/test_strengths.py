"""Rank and alpha of each module are those that PEFT gives it, or the adapter is refused."""

from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer

from tests.tiny import tiny_model
from tui_tuner.errors import AdapterError
from tui_tuner.planning.inheriting.reading import read_adapter
from tui_tuner.planning.inheriting.strengths import strengths

PATTERNS: list[dict[str, Any]] = [
    {"rank_pattern": {"q_proj": 8, "layers.1.mlp.up_proj": 2}},
    {"alpha_pattern": {"self_attn.v_proj": 64, "v_proj": 3}, "rank_pattern": {"down_proj": 16}},
    {"alpha_pattern": {"^model.layers.0.mlp.up_proj": 5, "model\\.layers\\.1\\.mlp\\.up_proj$": 7}},
]


@pytest.mark.parametrize("settings", PATTERNS, ids=["ranks", "both", "anchored"])
def test_each_module_has_the_rank_and_the_scale_that_peft_gives_it(settings: dict[str, Any], tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"r": 4, "lora_alpha": 32, "target_modules": "all-linear", **settings}
    model = get_peft_model(tiny_model(), LoraConfig(task_type="CAUSAL_LM", **chosen))
    model.save_pretrained(tmp_path)
    expected = {
        name.removeprefix("base_model.model."): (module.r["default"], module.lora_alpha["default"])
        for name, module in model.named_modules()
        if isinstance(module, LoraLayer)
    }
    assert {path: (one.rank, one.alpha) for path, one in read_adapter(tmp_path).strengths.items()} == expected


def test_a_rank_that_the_file_contradicts_is_refused() -> None:
    with pytest.raises(AdapterError, match=r"says rank 8, model\.q_proj has 4"):
        strengths(Path("made"), {"r": 4, "rank_pattern": {"q_proj": 8}}, {"model.q_proj": 4})


def test_alphas_by_a_regular_expression_are_refused() -> None:
    with pytest.raises(AdapterError, match=r"by the regular expression '\(a\+\)\+b'"):
        strengths(Path("made"), {"r": 4, "alpha_pattern": {"(a+)+b": 8}}, {"model.q_proj": 4})


def test_ranks_by_a_regular_expression_are_those_of_the_file() -> None:
    found = strengths(Path("made"), {"r": 4, "rank_pattern": {".*q_proj": 8}}, {"a.q_proj": 8, "a.k_proj": 4})
    assert {path: one.rank for path, one in found.items()} == {"a.q_proj": 8, "a.k_proj": 4}


@pytest.mark.parametrize("config", [{"lora_alpha": 0}, {"alpha_pattern": {"q_proj": "x"}}, {"rank_pattern": [8]}])
def test_a_config_with_other_values_than_numbers_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(AdapterError, match=r"says (lora_alpha|q_proj|rank_pattern) is"):
        strengths(Path("made"), {"r": 4, **config}, {"model.q_proj": 4})


def test_a_config_without_an_alpha_has_the_one_of_peft() -> None:
    assert strengths(Path("made"), {"r": 4}, {"q": 4})["q"].alpha == LoraConfig().lora_alpha
