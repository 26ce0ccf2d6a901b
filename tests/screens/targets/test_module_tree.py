from pathlib import Path
from typing import Any

from tests.planning.model_folders import base_model
from tests.screens.hollow_models import QWEN3_8B, SMOL_135M
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.recipe import AdapterSection
from tui_tuner.screens.targets.module_tree import NORMS, Chosen, Row, patterns, tree_rows


def _rows(folder: Path, config: dict[str, Any], **settings: Any) -> dict[str, Row]:
    base = base_model(folder, config)
    chosen = Chosen.of(plan_adapter(AdapterSection(**settings), base), base.facts.tied_embeddings)
    return {row.label: row for row in tree_rows(base, chosen, ())}


def test_layers_are_one_line_for_each_module(tmp_path: Path) -> None:
    labels = list(_rows(tmp_path, QWEN3_8B))
    assert labels[:10] == [
        "model.layers.0-35", "self_attn", "q_proj", "k_proj", "v_proj", "o_proj",
        "mlp", "gate_proj", "up_proj", "down_proj",
    ]  # fmt: skip
    assert labels[-3:] == ["embed_tokens", "norm", "lm_head"]


def test_the_lines_add_up_to_what_the_plan_trains(tmp_path: Path) -> None:
    base = base_model(tmp_path, QWEN3_8B)
    plan = plan_adapter(AdapterSection(rank=16, modules_to_save=("embed_tokens", "input_layernorm")), base)
    rows = tree_rows(base, Chosen.of(plan, False), ())
    leaves = [row for row in rows if row.kind in ("linear", "whole")]
    assert sum(row.num_trained for row in leaves) == plan.num_trainable


def test_a_line_that_is_off_says_what_it_would_add(tmp_path: Path) -> None:
    row = _rows(tmp_path, QWEN3_8B, rank=16, targets=("v_proj",))["q_proj"]
    assert (row.state, row.num_trained, row.num_more) == ("off", 0, 36 * 16 * (4096 + 4096))


def test_a_group_is_partly_chosen(tmp_path: Path) -> None:
    rows = _rows(tmp_path, QWEN3_8B, targets=("v_proj",))
    assert (rows["self_attn"].state, rows["v_proj"].state, rows["mlp"].state) == ("partly", "on", "off")


def test_within_chosen_layers_a_line_counts_as_whole(tmp_path: Path) -> None:
    assert _rows(tmp_path, QWEN3_8B, layers=(0, 1))["q_proj"].state == "on"


def test_a_tied_head_is_no_second_matrix(tmp_path: Path) -> None:
    rows = _rows(tmp_path, SMOL_135M, modules_to_save=("lm_head",))
    assert (rows["embed_tokens"].state, rows["lm_head"].state) == ("on", "on")
    assert rows["embed_tokens"].num_trained == 49152 * 576 and rows["lm_head"].num_trained == 0


def test_a_folded_group_hides_its_modules(tmp_path: Path) -> None:
    base = base_model(tmp_path, QWEN3_8B)
    chosen = Chosen.of(plan_adapter(AdapterSection(), base), False)
    assert "q_norm" not in {row.label for row in tree_rows(base, chosen, {NORMS})}
    assert "q_norm" in {row.label for row in tree_rows(base, chosen, ())}


def test_each_name_means_its_own_modules_alone(tmp_path: Path) -> None:
    base = base_model(tmp_path, QWEN3_8B)
    for one in patterns(base):
        if one.is_linear:
            continue
        meant = {module.path for module in base.modules if module.path.endswith(one.name)}
        assert meant == {module.path for module in one.modules}, one.name
