"""Writes one GGUF file, tensor by tensor."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGMLQuantizationType, GGUFEndian, GGUFWriter, LlamaFileType
from transformers import AutoConfig

from tui_tuner.data.rendering.template_choice import choose_template
from tui_tuner.data.tokenizer import TextTokenizer, load_text_tokenizer
from tui_tuner.engine.exporting.chat_rendering import ChatRenderer
from tui_tuner.engine.exporting.gguf_files.families import GgufFamily, gguf_family
from tui_tuner.engine.exporting.gguf_files.settings import FloatArray, Setting, model_settings, rope_tensors
from tui_tuner.engine.exporting.gguf_files.tensors import GgufTensor, gguf_tensors
from tui_tuner.engine.exporting.gguf_files.tokenizer import GgufTokenizer, gguf_tokenizer
from tui_tuner.engine.exporting.model_weights import MergeTally, ModelWeights
from tui_tuner.engine.exporting.source import ExportSource

FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "bf16": LlamaFileType.MOSTLY_BF16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
}
PHI_TOKENS = ("<unk>", "<s>", "</s>", "<|endoftext|>")


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufLayout:
    """Everything that one file will hold, before a tensor is read."""

    family: GgufFamily
    kind: str
    name: str
    """In the file."""
    file_stem: str
    settings: dict[str, Setting]
    tokenizer: GgufTokenizer
    tensors: tuple[GgufTensor, ...]
    tables: dict[str, FloatArray]
    remarks: tuple[str, ...]
    """What llama.cpp does otherwise, in words."""

    @property
    def num_bytes(self) -> int:
        """Of the tensors, with what the vocabulary takes, about."""
        return sum(tensor.num_bytes for tensor in self.tensors) + 64 * len(self.tokenizer.tokens)


def gguf_layout(source: ExportSource, weights: ModelWeights, kind: str) -> GgufLayout:
    """Lay out a GGUF file of one of `WRITTEN_GGUF_TYPES`.

    Raises:
        ModelError: the family, a setting, a tensor or the tokenizer has no equal in llama.cpp.
    """
    config: Any = AutoConfig.from_pretrained(source.base_folder, trust_remote_code=False).get_text_config()
    family = gguf_family(config.model_type)
    has_tokenizer = (source.folder / "tokenizer.json").is_file()
    tokenizer = load_text_tokenizer(source.folder if has_tokenizer else source.base_folder)
    written_tokenizer = gguf_tokenizer(
        tokenizer,
        weights.vocab_size,
        source.stop_ids,
        choose_template("auto", tokenizer).text,
        adds_bos=ChatRenderer(tokenizer).starts_with_bos(),
    )
    return GgufLayout(
        family=family,
        kind=kind,
        name=_model_name(source.name, family, tokenizer),
        file_stem=source.name,
        settings=model_settings(config, family, weights.vocab_size),
        tokenizer=written_tokenizer,
        tensors=gguf_tensors(weights, config, family, kind),
        tables=rope_tensors(config),
        remarks=tuple(_remarks(config, family)) + written_tokenizer.remarks,
    )


def write_gguf(path: Path, layout: GgufLayout, weights: ModelWeights, tally: MergeTally) -> Iterator[int]:
    """Write the file; yields how many tensors are done."""
    writer = GGUFWriter(path, MODEL_ARCH_NAMES[layout.family.arch], endianess=GGUFEndian.LITTLE)
    writer.add_name(layout.name)
    writer.add_file_type(FILE_TYPES[layout.kind])
    writer.add_quantization_version(2)
    for key, value in layout.settings.items():
        add_setting(writer, key, value)
    _add_tokenizer(writer, layout.tokenizer)
    for name, table in layout.tables.items():
        writer.add_tensor_info(name, table.shape, table.dtype, table.nbytes)
    for tensor in layout.tensors:
        writer.add_tensor_info(
            tensor.name, tensor.stored_shape, _array_type(tensor), tensor.num_bytes, raw_dtype=tensor.stored
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for table in layout.tables.values():
        writer.write_tensor_data(table)
    for done, tensor in enumerate(layout.tensors):
        yield done
        writer.write_tensor_data(tensor.packed(weights.read(tensor.source, tally)))
    writer.close()
    yield len(layout.tensors)


def add_setting(writer: GGUFWriter, key: str, value: Setting) -> None:
    """Add a key in the type of its value: whole numbers as uint32, others as float32."""
    match value:
        case bool():
            writer.add_bool(key, value)
        case int():
            writer.add_uint32(key, value)
        case float():
            writer.add_float32(key, value)
        case str():
            writer.add_string(key, value)


def _add_tokenizer(writer: GGUFWriter, tokenizer: GgufTokenizer) -> None:
    for group in (tokenizer.strings, tokenizer.flags, tokenizer.numbers):
        for key, value in group.items():
            add_setting(writer, key, value)
    writer.add_token_list(tokenizer.tokens)
    writer.add_token_types(tokenizer.types)
    if tokenizer.scores is not None:
        writer.add_token_scores(tokenizer.scores)
    if tokenizer.merges is not None:
        writer.add_token_merges(tokenizer.merges or [""])


def _array_type(tensor: GgufTensor) -> Any:
    whole = {GGMLQuantizationType.F32: np.dtype(np.float32), GGMLQuantizationType.F16: np.dtype(np.float16)}
    return whole.get(tensor.stored, np.dtype(np.uint8))


def _remarks(config: Any, family: GgufFamily) -> Iterator[str]:
    window = getattr(config, "sliding_window", None)
    if family.arch == MODEL_ARCH.LLAMA and window is not None and window < config.max_position_embeddings:
        yield f"llama.cpp has no sliding window for this architecture: beyond {window:,} tokens answers differ"


def _model_name(name: str, family: GgufFamily, tokenizer: TextTokenizer) -> str:
    """llama.cpp lets control tokens take the space behind them, as Phi-3's do, only in models of that name."""
    is_phi = family.arch == MODEL_ARCH.PHI3 and all(token in tokenizer.added_tokens for token in PHI_TOKENS)
    return f"{name} (phi-3)" if is_phi and "phi-3" not in name.lower() else name
