"""GGUF files say what the model says: to llama.cpp, which shares no code with us, and to transformers."""

import os
from pathlib import Path
from typing import Any

import gguf
import pytest
from transformers import AutoTokenizer

from tests.engine.exporting.llama_cpp import LlamaCpp
from tests.engine.exporting.made_adapters import (
    NEW_TOKENS,
    PROMPT,
    exported,
    finished,
    greedy,
    live_model,
    of,
    up_to_end,
    whole_model,
    write_adapter,
    write_strong_model,
)
from tui_tuner.engine.exporting.gguf_files.checking import GgufCheck, check_gguf
from tui_tuner.engine.exporting.gguf_files.writing import gguf_layout, write_gguf
from tui_tuner.engine.exporting.merged import chosen_weights
from tui_tuner.engine.exporting.model_weights import MergeTally
from tui_tuner.engine.exporting.source import open_source
from tui_tuner.errors import AdapterError, MachineError, ModelError
from tui_tuner.exports import ExportKind, ExportProof, ExportRequest

TIED = {"tie_word_embeddings": True}
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
SLIDING = {**TIED, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8, "num_hidden_layers": 4}
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("llama", {}),
    ("llama", {"rope_parameters": LLAMA3_ROPE}),
    ("llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}),
    ("llama", {"attention_bias": True, **TIED}),
    ("mistral", {}),
    ("qwen2", TIED),
    ("qwen3", {}),
    ("gemma", TIED),
    ("gemma2", SLIDING),
    ("gemma3_text", SLIDING),
    ("phi3", {}),
    ("granite", {"attention_multiplier": 0.3, "embedding_multiplier": 2.0, "residual_multiplier": 0.5}),
    ("cohere", TIED),
    ("cohere2", {**TIED, "sliding_window": 8, "num_hidden_layers": 4}),
]


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_llama_cpp_writes_what_the_model_writes(family: str, changes: dict[str, Any], tmp_path: Path) -> None:
    model = write_strong_model(tmp_path / "base", family, **changes)
    (path,) = finished(exported(model, ExportKind.GGUF, tmp_path / "gguf", quantization="f32"))
    expected = greedy(whole_model(model))
    assert len(set(expected)) > 2, "an answer that always repeats would prove little"
    assert LlamaCpp(path).greedy(PROMPT, NEW_TOKENS) == up_to_end(expected)


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_llama_cpp_writes_what_the_live_adapter_writes(family: str, tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base", family)
    adapter = write_adapter(tmp_path / "adapter", base)
    (path,) = finished(exported(adapter, ExportKind.GGUF, tmp_path / "gguf", quantization="f32"))
    assert LlamaCpp(path).greedy(PROMPT, NEW_TOKENS) == up_to_end(greedy(live_model(adapter, base)))


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi3"])
def test_llama_cpp_puts_the_gguf_adapter_on_the_gguf_base(family: str, tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base", family)
    own: dict[str, Any] = {"rank_pattern": {"q_proj": 8}, "alpha_pattern": {"up_proj": 3}}
    adapter = write_adapter(tmp_path / "adapter", base, use_rslora=True, **own)
    (whole,) = finished(exported(base, ExportKind.GGUF, tmp_path / "gguf", quantization="f32"))
    (lora,) = finished(exported(adapter, ExportKind.LORA_GGUF, tmp_path / "lora"))
    assert LlamaCpp(whole, lora).greedy(PROMPT, NEW_TOKENS) == up_to_end(greedy(live_model(adapter, base)))


@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_transformers_reads_the_file_too(family: str, tmp_path: Path) -> None:
    model = write_strong_model(tmp_path / "base", family)
    (path,) = finished(exported(model, ExportKind.GGUF, tmp_path / "gguf", quantization="f32"))
    assert greedy(whole_model(path.parent, gguf_file=path.name)) == greedy(whole_model(model))


@pytest.mark.parametrize("kind", ["f32", "f16", "bf16", "q8_0"])
def test_every_type_is_within_its_rounding_when_read_back(kind: str, tmp_path: Path) -> None:
    model = write_strong_model(tmp_path / "base", hidden_size=64, head_dim=16)
    events = exported(model, ExportKind.GGUF, tmp_path / "gguf", quantization=kind)
    (path,) = finished(events)
    stored = {one.name: one.tensor_type.name.lower() for one in gguf.GGUFReader(path).tensors}
    assert of(ExportProof, events)[0].passed
    assert stored["blk.0.attn_q.weight"] == kind
    assert stored["blk.0.attn_norm.weight"] == "f32"


def test_flipped_byte_is_found_when_read_back(tmp_path: Path) -> None:
    source = open_source(ExportRequest(source=str(write_strong_model(tmp_path / "base")), kinds=(ExportKind.GGUF,)))
    weights = chosen_weights(source, "16bit", "cpu")
    layout, path, check = gguf_layout(source, weights, "f32"), tmp_path / "model.gguf", GgufCheck()
    list(write_gguf(path, layout, weights, MergeTally()))
    with path.open("r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\x00\x00\x80\x3f")
    list(check_gguf(path, layout, weights, check))
    assert len(check.wrong) == 1


def test_tokenizer_and_chat_template_are_those_of_training(tmp_path: Path) -> None:
    model = write_strong_model(tmp_path / "base")
    (path,) = finished(exported(model, ExportKind.GGUF, tmp_path / "gguf"))
    messages = [{"role": "user", "content": "Grüße {1+1}, 数学!\n"}]
    ours = AutoTokenizer.from_pretrained(model)
    server = LlamaCpp(path)
    text = server.rendered(messages)
    assert text == ours.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert server.tokens(text) == ours.encode(text, add_special_tokens=False)


def test_head_that_is_no_longer_tied_is_refused_where_llama_cpp_has_one_matrix(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base", "gemma", **TIED)
    adapter = write_adapter(tmp_path / "adapter", base, modules_to_save=["embed_tokens"])
    with pytest.raises(ModelError, match="one matrix"):
        exported(adapter, ExportKind.GGUF, tmp_path / "gguf")


def test_family_without_gguf_is_refused_by_name(tmp_path: Path) -> None:
    model = write_strong_model(tmp_path / "base", "stablelm")
    with pytest.raises(ModelError, match="no GGUF of stablelm"):
        exported(model, ExportKind.GGUF, tmp_path / "gguf")


def test_smaller_types_name_the_command_where_llama_quantize_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_strong_model(tmp_path / "base")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError) as caught:
        exported(model, ExportKind.GGUF, tmp_path / "gguf", quantization="q4_k_m")
    assert "llama-quantize base-bf16.gguf base-q4_k_m.gguf Q4_K_M" in caught.value.hint


def test_llama_quantize_on_the_path_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_strong_model(tmp_path / "base")
    program = tmp_path / "llama-quantize"
    program.write_text('#!/bin/sh\necho "$3" > "$2"\n', encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    (path,) = finished(exported(model, ExportKind.GGUF, tmp_path / "gguf", quantization="q4_k_m"))
    assert (path.name, path.read_text()) == ("base-q4_k_m.gguf", "Q4_K_M\n")
    assert sorted(one.name for one in path.parent.iterdir()) == ["README.md", "base-q4_k_m.gguf", "export.json"]


@pytest.mark.parametrize("settings", [{"use_dora": True}, {"modules_to_save": ["lm_head"]}])
def test_gguf_adapter_refuses_what_it_cannot_say(settings: dict[str, Any], tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base, **settings)
    with pytest.raises(AdapterError, match="An adapter in GGUF cannot"):
        exported(adapter, ExportKind.LORA_GGUF, tmp_path / "lora")
