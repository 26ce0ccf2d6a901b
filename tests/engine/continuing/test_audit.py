"""The audit of an adapter: the known case of frozen embeddings, at its real size and without its memory."""

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.planning.model_folders import base_model
from tests.planning.recipes import LLAMA_8B
from tui_tuner.engine.adapters import TrainedSet, add_adapters
from tui_tuner.engine.continuing.audit import audit, refuse
from tui_tuner.engine.continuing.loading import LoadedAdapter
from tui_tuner.errors import AdapterError
from tui_tuner.events import AdapterAudited, TrainableGroup
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.planning.inheriting.origin import LoggedLoss
from tui_tuner.planning.inheriting.reading import read_adapter
from tui_tuner.recipe import AdapterSection

LINEARS = {
    "self_attn.q_proj": (4096, 4096), "self_attn.k_proj": (1024, 4096), "self_attn.v_proj": (1024, 4096),
    "self_attn.o_proj": (4096, 4096), "mlp.gate_proj": (14336, 4096), "mlp.up_proj": (14336, 4096),
    "mlp.down_proj": (4096, 14336),
}  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """An 8B model that goes on from an r=32 adapter with embeddings and head; it takes no memory."""

    module: Any
    trained: TrainedSet
    loaded: LoadedAdapter

    def audited(self, rates: Sequence[float] = (1e-4, 1e-5)) -> AdapterAudited:
        groups = [
            TrainableGroup(name=name, num_tensors=1, num_parameters=1, learning_rate=rate, weight_decay=0.0)
            for name, rate in zip(("lora_A", "lora_B", "embedding", "head"), (rates[0], *rates, rates[1]), strict=True)
        ]
        return audit(self.loaded, self.module, self.trained, groups)


def shapes() -> Iterator[tuple[str, tuple[int, int]]]:
    """Tensors of the adapter, named as a trainer names them that leaves its wrappers in."""
    for layer in range(32):
        for name, (rows, columns) in LINEARS.items():
            yield f"base_model.model.model.layers.{layer}.{name}.lora_A.default.weight", (32, columns)
            yield f"base_model.model.model.layers.{layer}.{name}.lora_B.default.weight", (rows, 32)
    yield "base_model.model.model.embed_tokens.modules_to_save.default.weight", (128256, 4096)
    yield "base_model.model.lm_head.modules_to_save.default.weight", (128256, 4096)


def write_adapter_8b(folder: Path, **settings: Any) -> Path:
    """Its config, and a weights file that is a header and a hole."""
    config = {"peft_type": "LORA", "r": 32, "lora_alpha": 64}
    names = [name.rpartition(".")[2] for name in LINEARS]
    folder.mkdir()
    whole = {"modules_to_save": ["embed_tokens", "lm_head"]}
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": names, **whole, **settings}))
    header, end = {}, 0
    for name, shape in shapes():
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": (end, end + 2 * prod(shape))}
        end += 2 * prod(shape)
    text = json.dumps(header).encode()
    with (folder / "adapter_model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("8b")
    adapter = read_adapter(write_adapter_8b(folder / "adapter"))
    plan = plan_adapter(AdapterSection(), base_model(folder / "base", LLAMA_8B), adapter)
    fields = {name: value for name, value in LLAMA_8B.items() if name != "model_type"}
    with FakeTensorMode(), torch.device("cpu"):
        module = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **fields), dtype=torch.bfloat16)
        trained = add_adapters(module, plan, torch.bfloat16)
    loaded = LoadedAdapter(
        adapter=adapter, loss_before=2.1, loss_after=1.2, rows="200 held-out rows",
        logged=LoggedLoss(step=40, loss=1.2), is_same_data=True, base_confirmed=True,
    )  # fmt: skip
    return Opened(module, trained, loaded)


def test_the_known_case_trains_everything_again(opened: Opened) -> None:
    audited = opened.audited()
    assert audited.problem == ""
    assert sum(group.expected for group in audited.groups) == 1_134_559_232
    assert sum(group.trainable for group in audited.groups) == 1_134_559_232
    assert {group.name: group.trainable for group in audited.groups} == {
        "lora": 83_886_080, "embedding": 525_336_576, "head": 525_336_576,
    }  # fmt: skip


def test_a_config_that_lost_its_modules_still_trains_everything(tmp_path: Path) -> None:
    adapter = read_adapter(write_adapter_8b(tmp_path / "adapter", modules_to_save=None))
    plan = plan_adapter(AdapterSection(), base_model(tmp_path / "base", LLAMA_8B), adapter)
    assert plan.num_trainable == 1_134_559_232
    assert f"{plan.trainable_percent:.4f}" == "12.3795"


def test_frozen_embeddings_and_head_block(opened: Opened) -> None:
    whole = [one.parameter for one in opened.trained.tensors if one.group in ("embedding", "head")]
    for parameter in whole:
        parameter.requires_grad_(False)
    audited = opened.audited()
    for parameter in whole:
        parameter.requires_grad_(True)
    assert sum(group.trainable for group in audited.groups) == 83_886_080
    with pytest.raises(
        AdapterError, match=r"base_model.model.*embed_tokens.weight and 1 more of its file would not be"
    ):
        refuse(audited)


def test_a_rate_of_zero_blocks(opened: Opened) -> None:
    assert opened.audited((1e-4, 0.0)).problem == "embedding has a learning rate of 0"


def test_a_loss_that_is_not_what_was_logged_blocks(opened: Opened) -> None:
    changed = replace(opened, loaded=replace(opened.loaded, loss_after=1.4))
    assert "the run that made it had a loss of 1.2000, now it is 1.4000" in changed.audited().problem


def test_a_loss_on_other_rows_may_be_any(opened: Opened) -> None:
    assert replace(opened, loaded=replace(opened.loaded, loss_after=1.9, is_same_data=False)).audited().problem == ""
