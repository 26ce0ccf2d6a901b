"""An adapter alone as GGUF, for llama.cpp's --lora: its matrices under the names of the tensors that they change."""

import time
from collections.abc import Iterator
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from gguf import MODEL_ARCH_NAMES, GGUFWriter, Keys, get_tensor_name_map
from transformers import AutoConfig

from tui_tuner.engine.exporting.adapter_weights import AdapterWeights
from tui_tuner.engine.exporting.gguf_files.families import GgufFamily, gguf_family
from tui_tuner.engine.exporting.gguf_files.reading import read_tensors
from tui_tuner.engine.exporting.gguf_files.tensors import FloatArray, interleaved, interleaved_heads, text_name
from tui_tuner.engine.exporting.side_files import write_gguf_card
from tui_tuner.engine.exporting.source import ExportSource
from tui_tuner.engine.exporting.target_folder import new_folder, write_ledger
from tui_tuner.errors import AdapterError, TrainingError
from tui_tuner.exports import ExportEvent, ExportFinished, ExportKind, ExportProof, ProofCheck, ServeCommand


def check_adapter(weights: AdapterWeights) -> None:
    """Raise AdapterError for what an adapter in GGUF cannot say."""
    if weights.adapter.use_dora:
        raise AdapterError("An adapter in GGUF cannot be DoRA.", "Export as gguf, where it is merged.")
    if weights.whole:
        raise AdapterError(
            f"An adapter in GGUF cannot hold whole tensors, and this one has {weights.whole[0]}.",
            "Export as gguf, where it is merged.",
        )


def lora_gguf_bytes(weights: AdapterWeights) -> int:
    return sum(4 * tensor.num_elements for tensor in weights.adapter.tensors)


def export_lora_gguf(source: ExportSource, folder: Path, facts: dict[str, object]) -> Iterator[ExportEvent]:
    """Write, read back, compare and publish.

    Raises:
        AdapterError: the adapter is DoRA or holds whole tensors.
        TrainingError: what was read back is not what was written.
    """
    assert source.weights is not None
    began = time.perf_counter()
    check_adapter(source.weights)
    arrays = dict(_arrays(source))
    with new_folder(folder) as building:
        path = building / f"{source.name}-lora.gguf"
        _write(path, source, arrays)
        proof = _proof(path, arrays)
        yield proof
        if not proof.passed:
            raise TrainingError(f"{path.name} is not what was written: {proof.message}.", "Please report this.")
        write_gguf_card(source, building, "adapter, f32")
        files = write_ledger(building, ExportKind.LORA_GGUF, facts)
    base, place = f"{Path(source.base_name).name}.gguf", folder / path.name
    yield ExportFinished(
        export=ExportKind.LORA_GGUF,
        folder=str(folder),
        files=files,
        commands=(
            ServeCommand(program="llama.cpp", command=f"llama-server -m {base} --lora {quote(str(place))} --jinja"),
            ServeCommand(program="Ollama", command=f"FROM ./{base}\nADAPTER {place}"),
        ),
        seconds=time.perf_counter() - began,
    )


def _arrays(source: ExportSource) -> Iterator[tuple[str, FloatArray]]:
    config, family = _config(source)
    names = get_tensor_name_map(family.arch, config.num_hidden_layers)
    assert source.weights is not None
    for path in source.weights.targets:
        name = names.get_name(text_name(f"{path}.weight"), (".weight",))
        if name is None:
            raise AdapterError(f"{path} has no place in a GGUF of this architecture.", "Export as merged.")
        parts = source.weights.parts(path)
        heads = interleaved_heads(f"{path}.weight", config, family)
        outputs = parts.B_OR.numpy() * _own_factor(source.weights, path)
        yield f"{name}.lora_a", parts.A_RI.numpy()
        yield f"{name}.lora_b", interleaved(outputs, heads) if heads else outputs


def _told_alpha(weights: AdapterWeights) -> float:
    """llama.cpp divides one alpha by each matrix's rank, so that rsLoRA's scale is told as the alpha that gives it."""
    first = weights.targets[0]
    return weights.scaling(first) * weights.adapter.strengths[first].rank


def _own_factor(weights: AdapterWeights, path: str) -> np.float32:
    """What B is multiplied by where one alpha does not say it: 1 unless modules have alphas or rsLoRA ranks apart."""
    return np.float32(weights.scaling(path) * weights.adapter.strengths[path].rank / _told_alpha(weights))


def _write(path: Path, source: ExportSource, arrays: dict[str, FloatArray]) -> None:
    assert source.weights is not None
    _, family = _config(source)
    writer = GGUFWriter(path, MODEL_ARCH_NAMES[family.arch])
    writer.add_type("adapter")
    writer.add_name(source.name)
    writer.add_string(Keys.Adapter.TYPE, "lora")
    writer.add_float32(Keys.Adapter.LORA_ALPHA, _told_alpha(source.weights))
    for name, array in arrays.items():
        writer.add_tensor(name, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _proof(path: Path, arrays: dict[str, FloatArray]) -> ExportProof:
    stored = read_tensors(path)
    wrong = [
        name for name, array in arrays.items()
        if name not in stored or not np.array_equal(stored[name].data(path), array)
    ]  # fmt: skip
    passed = not wrong and len(stored) == len(arrays)
    found = f"{len(arrays)} matrices, bit for bit" if passed else f"{len(wrong)} differ, first {wrong[:1]}"
    check = ProofCheck(claim="every matrix, read back, is the adapter's", passed=passed, found=found)
    return ExportProof(export=ExportKind.LORA_GGUF, passed=passed, checks=(check,), message=found)


def _config(source: ExportSource) -> tuple[Any, GgufFamily]:
    config: Any = AutoConfig.from_pretrained(source.base_folder, trust_remote_code=False).get_text_config()
    return config, gguf_family(config.model_type)
