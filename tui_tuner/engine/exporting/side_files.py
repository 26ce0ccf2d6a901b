"""The small files beside merged weights: config, generation config, tokenizer, chat template, model card."""

import json
import shutil
from pathlib import Path
from typing import Any

from tui_tuner.engine.exporting.model_weights import ModelWeights
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.planning.json_files import read_json_object

COPIED = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.model", "added_tokens.json",
    "vocab.json", "merges.txt", "chat_template.jinja", "preprocessor_config.json", "processor_config.json",
    "generation_config.json", "LICENSE", "LICENSE.txt", "NOTICE",
)  # fmt: skip
"""What a model folder may hold beside weights and config; code is never copied."""
INDEX_FILE = "model.safetensors.index.json"


def copy_small_files(source: ExportSource, folder: Path) -> None:
    """Of the base, and over them those of the adapter, with which it was trained."""
    for origin in dict.fromkeys((source.base_folder, source.folder)):
        for name in COPIED:
            if (origin / name).is_file():
                shutil.copyfile(origin / name, folder / name)


def planned_small_files(source: ExportSource) -> tuple[Path, ...]:
    """Whose sizes those of a merged model will have, about."""
    found = {
        name: folder / name
        for folder in (source.base_folder, source.folder)
        for name in (*COPIED, "config.json")
        if (folder / name).is_file()
    }
    return tuple(found.values())


def model_files(source: ExportSource) -> tuple[Path, ...]:
    """What a whole model's folder holds for others: weights, configs, tokenizer, card."""
    names = (*COPIED, "config.json", "README.md", INDEX_FILE, *source.base.facts.weight_files)
    return tuple(source.folder / name for name in names if (source.folder / name).is_file())


def write_config(source: ExportSource, weights: ModelWeights, folder: Path) -> None:
    """The base's config, with what merging has changed."""
    config = read_json_object(source.base_folder / "config.json", "config.json")
    config.pop("quantization_config", None)
    dtype = str(weights.compute_dtype).removeprefix("torch.")
    changes: dict[str, Any] = {"vocab_size": weights.vocab_size, "tie_word_embeddings": weights.is_tied}
    for part in (config, config.get("text_config")):
        if isinstance(part, dict):
            part.update({name: value for name, value in changes.items() if name in part or part is config})
            if weights.base == "dequantised":
                part.pop("torch_dtype", None)
                part["dtype"] = dtype
    if "text_config" in config and "vocab_size" not in _own(source):
        config.pop("vocab_size", None)
    _write(folder / "config.json", config)


def write_generation_config(source: ExportSource, folder: Path) -> None:
    """The base's, where generation also ends at the tokens that ended trained turns; without it answers never end."""
    path = folder / "generation_config.json"
    config = read_json_object(path, path.name) if path.is_file() else {}
    before = config.get("eos_token_id", _own(source).get("eos_token_id"))
    stops = [*(before if isinstance(before, list) else [] if before is None else [before]), *source.stop_ids]
    unique = list(dict.fromkeys(stops))
    if unique:
        config["eos_token_id"] = unique if len(unique) > 1 else unique[0]
    _write(path, config)


def write_index(weights: ModelWeights, folder: Path) -> None:
    """Which tensor is in which file, where there is more than one file."""
    if len(weights.files) < 2:
        return
    places = {entry.name: file for file, entries in weights.files for entry in entries}
    _write(folder / INDEX_FILE, {"metadata": {"total_size": weights.num_bytes}, "weight_map": places})


def write_card(source: ExportSource, folder: Path, library: str, tag: str, facts: list[tuple[str, str]]) -> None:
    """A model card: what this is, and below it the card of what it was made from."""
    table = "\n".join(f"| {name} | {value} |" for name, value in facts)
    original = source.folder / "README.md"
    below = _without_front_matter(original.read_text(encoding="utf-8")) if original.is_file() else ""
    text = f"""---
base_model: {source.base_name}
library_name: {library}
tags:
- {tag}
---

# {source.name}

| | |
|---|---|
{table}

`export.json` lists the sha256 of each file.
"""
    (folder / "README.md").write_text(text + (f"\n{below}" if below else ""), encoding="utf-8")


def write_gguf_card(source: ExportSource, folder: Path, kind: str) -> None:
    """The card beside a GGUF file of this type."""
    facts = [("Type", kind), ("Base model", f"`{source.base_name}`"), ("Base", f"`{source.base_fingerprint[:16]}`")]
    write_card(source, folder, "gguf", "gguf", facts)


def _own(source: ExportSource) -> dict[str, Any]:
    return read_json_object(source.base_folder / "config.json", "config.json")


def _without_front_matter(text: str) -> str:
    if text.startswith("---\n") and "\n---\n" in text[4:]:
        return text.split("\n---\n", 1)[1].lstrip()
    return text


def _write(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
