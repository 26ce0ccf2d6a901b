"""Merged models answer as the live adapter does, whatever was trained, and nothing else is ever published."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.engine.exporting.made_adapters import (
    exported,
    greedy,
    live_model,
    of,
    whole_model,
    write_adapter,
    write_strong_model,
)
from tui_tuner.engine.chat import open_chat
from tui_tuner.engine.exporting.export import export
from tui_tuner.engine.exporting.measuring import ask_live
from tui_tuner.engine.exporting.merged import choose_base, chosen_weights, prove_merged
from tui_tuner.engine.exporting.model_weights import MergeTally
from tui_tuner.engine.exporting.proof_rows import ProofRows, probes
from tui_tuner.engine.exporting.source import open_source
from tui_tuner.errors import AdapterError, MachineError
from tui_tuner.exports import ExportFailed, ExportKind, ExportPlanned, ExportProof, ExportRequest

TABLES = ["embed_tokens", "lm_head"]
TIED: dict[str, Any] = {"tie_word_embeddings": True}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("llama", {}, {}),
    ("qwen2", TIED, {}),
    ("gemma", TIED, {}),
    ("phi3", {}, {}),
    ("llama", {}, {"use_rslora": True}),
    ("qwen2", TIED, {"use_dora": True}),
    ("llama", {}, {"modules_to_save": TABLES}),
    ("llama", {}, {"modules_to_save": ["norm"], "target_modules": ["q_proj"]}),
    ("llama", TIED, {"modules_to_save": TABLES, "ensure_weight_tying": True}),
    ("llama", TIED, {"modules_to_save": TABLES}),
    ("llama", TIED, {"modules_to_save": ["embed_tokens"]}),
    ("llama", {}, {"target_modules": ["q_proj", "lm_head"]}),
]


@pytest.mark.parametrize(("family", "changes", "settings"), CASES)
def test_merged_model_writes_what_the_live_adapter_writes(
    family: str, changes: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    base = write_strong_model(tmp_path / "base", family, **changes)
    adapter = write_adapter(tmp_path / "adapter", base, **settings)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged", device="cpu")
    expected = greedy(live_model(adapter, base))
    assert greedy(whole_model(tmp_path / "merged")) == expected
    assert greedy(whole_model(base)) != expected


def test_tied_matrix_that_was_trained_stays_one(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base", **TIED)
    adapter = write_adapter(tmp_path / "adapter", base, modules_to_save=TABLES, ensure_weight_tying=True)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    assert "lm_head.weight" not in load_file(tmp_path / "merged" / "model.safetensors")
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["tie_word_embeddings"]


def test_resized_vocabulary_comes_along(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base, num_tokens=272, modules_to_save=TABLES)
    events = exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["vocab_size"] == 272
    assert greedy(whole_model(tmp_path / "merged")) == greedy(live_model(adapter, base, num_tokens=272))
    assert of(ExportProof, events)[0].passed


def test_shards_and_their_index_are_kept(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    whole_model(base).save_pretrained(base, max_shard_size="60kB")
    (base / "model.safetensors").unlink()
    adapter = write_adapter(tmp_path / "adapter", base)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    assert len(list((tmp_path / "merged").glob("model-*.safetensors"))) > 1
    assert greedy(whole_model(tmp_path / "merged")) == greedy(live_model(adapter, base))


def test_chat_opens_a_merged_folder_and_answers_as_with_the_adapter(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    told: dict[str, Any] = {"max_tokens": 8, "temperature": 0.0}
    turns = [{"role": "user", "content": "hello"}]
    merged, live = (open_chat(str(tmp_path / name)) for name in ("merged", "adapter"))
    assert "".join(merged.reply(turns, tuned=False, **told)) == "".join(live.reply(turns, tuned=True, **told))


def test_type_of_a_bfloat16_base_is_kept(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    whole_model(base).bfloat16().save_pretrained(base)
    adapter = write_adapter(tmp_path / "adapter", base)
    (proof,) = of(ExportProof, exported(adapter, ExportKind.MERGED, tmp_path / "merged"))
    stored = load_file(tmp_path / "merged" / "model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.bfloat16}
    assert proof.passed


def test_proof_finds_files_that_are_not_the_merge(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    source = open_source(ExportRequest(source=str(adapter), kinds=(ExportKind.MERGED,)))
    rows = ProofRows(probes(source), "probes", are_held_out=False)
    live = ask_live(source, rows.examples, torch.device("cpu"))
    choice = choose_base("auto", live)
    weights = chosen_weights(source, choice.base, "cpu")
    proof = prove_merged(base, live, choice, rows, MergeTally(num_changed=1), weights)
    assert [check.passed for check in proof.checks[:3]] == [False, False, False]


def test_merge_that_equals_its_base_is_refused(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    _change(adapter, "lora_B", torch.zeros_like)
    with pytest.raises(AdapterError, match="would equal its base"):
        exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_adapter_with_nan_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    _change(adapter, "lora_A", lambda tensor: torch.full_like(tensor, float("nan")))
    with pytest.raises(AdapterError, match="NaN or infinite"):
        exported(adapter, ExportKind.MERGED, tmp_path / "merged")


def test_base_of_another_shape_is_refused(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    other = write_strong_model(tmp_path / "other", hidden_size=16)
    with pytest.raises(AdapterError, match="does not fit"):
        exported(adapter, ExportKind.MERGED, tmp_path / "merged", base_model=str(other))


def test_what_is_no_export_is_never_replaced(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    (tmp_path / "mine").mkdir()
    with pytest.raises(MachineError, match="is there already"):
        exported(adapter, ExportKind.MERGED, tmp_path / "mine", replaces=True)


def test_earlier_export_is_replaced_only_when_told(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    with pytest.raises(MachineError, match="is there already"):
        exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    exported(adapter, ExportKind.MERGED, tmp_path / "merged", replaces=True)


def test_plan_tells_the_exact_bytes_of_the_weights(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    events = exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    planned = next(one for one in of(ExportPlanned, events)[0].files if one.name == "model.safetensors")
    tensors = load_file(tmp_path / "merged" / "model.safetensors").values()
    assert planned.num_bytes == sum(tensor.nbytes for tensor in tensors)


def test_failure_is_told_as_an_event_too(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    stream = export(ExportRequest(source=str(base), kinds=(ExportKind.MERGED,)))
    event = next(stream)
    assert isinstance(event, ExportFailed)
    assert "whole model" in event.message


def _change(adapter: Path, part: str, change: Any) -> None:
    path = adapter / "adapter_model.safetensors"
    tensors = {name: change(value) if part in name else value for name, value in load_file(path).items()}
    save_file(tensors, path)
