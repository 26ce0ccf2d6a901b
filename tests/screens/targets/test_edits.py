from pathlib import Path

import pytest

from tests.planning.model_folders import base_model
from tests.screens.hollow_models import QWEN3_8B, SMOL_135M
from tui_tuner.planning.model_facts import BaseModel
from tui_tuner.screens.draft import Draft
from tui_tuner.screens.targets import edits
from tui_tuner.screens.targets.module_tree import tree_rows


@pytest.fixture
def base(tmp_path: Path) -> BaseModel:
    return base_model(tmp_path, QWEN3_8B)


def _toggled(draft: Draft, base: BaseModel, *labels: str) -> Draft:
    for label in labels:
        rows = tree_rows(base, edits.asked(draft, base), ())
        draft = edits.toggled(draft, base, next(row for row in rows if row.label == label))
    return draft


def test_a_module_is_taken_out_of_all_and_put_back(base: BaseModel) -> None:
    draft = _toggled(Draft(), base, "k_proj")
    assert draft.get("adapter", "targets") == ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert _toggled(draft, base, "k_proj") == Draft()


def test_a_group_is_toggled_as_a_whole(base: BaseModel) -> None:
    assert _toggled(Draft(), base, "mlp") == edits.attention_only(Draft(), base)


def test_all_off_is_an_empty_list_that_can_be_left_again(base: BaseModel) -> None:
    draft = _toggled(Draft(), base, "model.layers.0-35")
    assert draft.get("adapter", "targets") == []
    assert _toggled(draft, base, "q_proj").get("adapter", "targets") == ["q_proj"]


def test_the_last_norm_is_named_so_that_no_other_norm_is_meant(base: BaseModel) -> None:
    assert _toggled(Draft(), base, "norm").get("adapter", "modules_to_save") == ["model.norm"]


def test_one_norm_leaves_a_name_that_meant_them_all(base: BaseModel) -> None:
    draft = Draft({"adapter": {"modules_to_save": ["norm"]}})
    left = _toggled(draft, base, "q_norm").get("adapter", "modules_to_save")
    assert set(left) == {"k_norm", "input_layernorm", "post_attention_layernorm", "model.norm"}


def test_a_tied_pair_is_chosen_and_left_together(tmp_path: Path) -> None:
    tied = base_model(tmp_path, SMOL_135M)
    draft = _toggled(Draft(), tied, "lm_head")
    assert draft.get("adapter", "modules_to_save") == ["lm_head"]
    assert _toggled(draft, tied, "embed_tokens") == Draft()


def test_a_regular_expression_over_layers_becomes_layers(base: BaseModel) -> None:
    draft = edits.with_pattern(Draft(), base, r"layers\.[01]\..*q_proj")
    assert draft.tables == {"adapter": {"targets": ["q_proj"], "layers": [0, 1]}}


def test_a_regular_expression_can_take_the_others(base: BaseModel) -> None:
    assert edits.with_pattern(Draft(), base, "!mlp").get("adapter", "targets") == [
        "q_proj", "k_proj", "v_proj", "o_proj",
    ]  # fmt: skip


def test_different_layers_of_each_module_become_paths(base: BaseModel) -> None:
    targets = edits.with_pattern(Draft(), base, r"layers\.0\..*q_proj|layers\.1\..*v_proj").get("adapter", "targets")
    assert targets == ["model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.v_proj"]


@pytest.mark.parametrize("expression", ["(", "nothing_like_it"])
def test_an_expression_that_finds_nothing_is_refused(base: BaseModel, expression: str) -> None:
    with pytest.raises(ValueError, match=r"no regular expression|no linear module"):
        edits.with_pattern(Draft(), base, expression)


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("all", (0, 1, 2, 3)),
        ("0-1, 3", (0, 1, 3)),
        ("last 2", (2, 3)),
        ("first 1", (0,)),
        ("every 2", (0, 2)),
        ("2", (2,)),
    ],
)
def test_layers_are_read(text: str, layers: tuple[int, ...]) -> None:
    assert edits.parse_layers(text, 4) == layers


@pytest.mark.parametrize("text", ["4", "3-1", "last 9", "last 0", "x", "0-"])
def test_layers_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="layer"):
        edits.parse_layers(text, 4)


def test_layers_are_written_as_they_are_read() -> None:
    assert edits.layer_words((0, 1, 2, 5, 7, 8)) == "0-2, 5, 7-8"
