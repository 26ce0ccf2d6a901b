"""The figure on the screen after any sequence of keys, against what PEFT counts on the real modules."""

from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, peft_counts
from tui_tuner.families.gemma3 import GEMMA3
from tui_tuner.families.llama import LLAMA
from tui_tuner.families.qwen3 import QWEN3
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.screens.draft import UNCHOSEN, Draft
from tui_tuner.screens.targets import edits
from tui_tuner.screens.targets.module_tree import Chosen, tree_rows

SEQUENCES = (("k_proj", "norm"), ("mlp", "embed_tokens"), ("self_attn", "q_proj", "norms"), ("lm_head", "down_proj"))


@pytest.mark.parametrize("labels", SEQUENCES, ids="-".join)
@pytest.mark.parametrize("family", [LLAMA, QWEN3, GEMMA3], ids=lambda family: str(family.name))
def test_what_the_tree_shows_is_what_peft_trains(family: Any, labels: tuple[str, ...], tmp_path: Path) -> None:
    config = dict(family.tiny) | {"tie_word_embeddings": False}
    base = base_model(tmp_path, config)
    draft = Draft({"model": {"source": UNCHOSEN}, "adapter": {"rank": 4}})
    for label in labels:
        rows = tree_rows(base, edits.asked(draft, base), ())
        draft = edits.toggled(draft, base, next(row for row in rows if row.label == label))
    recipe, problems = draft.preview
    assert recipe is not None, problems
    plan = plan_adapter(recipe.adapter, base)
    shown = tree_rows(base, Chosen.of(plan, False), ())
    settings: dict[str, Any] = {"target_modules": list(plan.target_names)}
    if plan.modules_to_save:
        settings["modules_to_save"] = list(plan.modules_to_save)
    trainable, _ = peft_counts(config, **settings)
    assert sum(row.num_trained for row in shown if row.kind in ("linear", "whole")) == plan.num_trainable == trainable
