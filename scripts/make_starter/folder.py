"""Writes the files of the starter, and the manifest that says what they are and how they came about."""

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from scripts.make_starter.pretraining import CONTEXT
from scripts.make_starter.questions import InstructionSet, Row
from scripts.make_starter.tokenizer import END, PADDING, START

LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors")
HASHED_FILES = ("model/model.safetensors", "model/tokenizer.json", "instructions.jsonl", "held_out.jsonl")


def corpus_text(documents: Sequence[str]) -> str:
    return "\n".join(documents) + "\n"


def rows_text(rows: Iterable[Row]) -> str:
    return "".join(row.to_json() + "\n" for row in rows)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_rows(folder: Path, rows: InstructionSet) -> None:
    (folder / "instructions.jsonl").write_text(rows_text(rows.training), encoding="utf-8")
    (folder / "held_out.jsonl").write_text(rows_text(rows.held_out), encoding="utf-8")


def write_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": START,
        "eos_token": END,
        "pad_token": PADDING,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    _write_json(folder / "model" / "tokenizer_config.json", settings)


def write_model(folder: Path, model: LlamaForCausalLM) -> None:
    """config.json, generation_config.json and model.safetensors, in bfloat16."""
    model.to(torch.bfloat16).save_pretrained(folder / "model")
    (folder / "model" / "model.safetensors").chmod(0o644)


def write_manifest(folder: Path, documents: Sequence[str], pretrained: Mapping[str, object]) -> None:
    """What was made, from what, and by which versions; `pretrained` is what pretraining says of itself."""
    hashes = {"corpus": sha256(corpus_text(documents).encode())}
    hashes |= {name: sha256((folder / name).read_bytes()) for name in HASHED_FILES}
    versions = {name: version(name) for name in LIBRARIES} | {"python": platform.python_version()}
    _write_json(folder / "manifest.json", {"pretrained": pretrained, "sha256": hashes, "versions": versions})


def read_pretrained(folder: Path) -> Mapping[str, object]:
    """What the last pretraining said of itself."""
    pretrained: Mapping[str, object] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["pretrained"]
    return pretrained


def _write_json(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
