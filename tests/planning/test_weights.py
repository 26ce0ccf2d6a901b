import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.planning.model_folders import base_model, write_config, write_raw_weights, write_weights
from tui_tuner.errors import ModelError
from tui_tuner.families.llama import LLAMA
from tui_tuner.planning.safetensors_header import read_header
from tui_tuner.planning.weights import read_weights

INDEX = "model.safetensors.index.json"
ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def tiny_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    return {f"{module.path}.weight": module.weight for module in base_model(folder, LLAMA.tiny).modules}


def test_a_whole_model_says_its_bytes_and_type(tmp_path: Path) -> None:
    file = write_weights(tmp_path / "model.safetensors", tiny_shapes(tmp_path), dtype="BF16")
    facts = base_model(tmp_path, LLAMA.tiny).facts
    assert (facts.weight_bytes, facts.dtype, facts.unknowns) == (file.stat().st_size, "bfloat16", ())


def test_a_truncated_file_says_the_size_wanted_and_had(tmp_path: Path) -> None:
    file = write_weights(tmp_path / "model.safetensors", {"a": (100,)})
    size = file.stat().st_size
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ModelError, match=f"model.safetensors is truncated: {size} bytes .* it has {size - 40}"):
        read_weights(tmp_path)


def test_a_file_cut_inside_its_header_is_truncated(tmp_path: Path) -> None:
    file = write_weights(tmp_path / "model.safetensors", {"a": (100,)})
    file.write_bytes(file.read_bytes()[:20])
    with pytest.raises(ModelError, match="truncated"):
        read_header(file)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_weights(tmp_path / "one.safetensors", {"a": (1,)})
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    with pytest.raises(ModelError, match=r"lacks 1 of 2 weight files: two\.safetensors"):
        read_weights(tmp_path)


def test_shards_are_read_together(tmp_path: Path) -> None:
    write_weights(tmp_path / "one.safetensors", {"a": (1,)})
    write_weights(tmp_path / "two.safetensors", {"b": (2, 3)})
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
    assert {tensor.name: tensor.shape for tensor in read_weights(tmp_path).tensors} == {"a": (1,), "b": (2, 3)}


@pytest.mark.parametrize("name", ["../x.safetensors", "/etc/x.safetensors", "a/../../x.safetensors", "x.bin"])
def test_an_index_that_points_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(ModelError, match="no safetensors file inside the folder"):
        read_weights(tmp_path)


def test_pickle_weights_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match=r"pickle \(pytorch_model.bin\)"):
        read_weights(tmp_path)


def test_the_first_tensor_of_another_shape_is_named(tmp_path: Path) -> None:
    shapes = tiny_shapes(tmp_path) | {"model.layers.1.self_attn.k_proj.weight": (16, 64)}
    write_weights(tmp_path / "model.safetensors", shapes)
    message = r"model.layers.1.self_attn.k_proj.weight has shape \[16, 64\], config.json says \[32, 64\]"
    with pytest.raises(ModelError, match=message):
        base_model(tmp_path, LLAMA.tiny)


def test_a_tensor_that_the_config_promises_must_be_there(tmp_path: Path) -> None:
    shapes = tiny_shapes(tmp_path)
    del shapes["model.norm.weight"]
    write_weights(tmp_path / "model.safetensors", shapes)
    with pytest.raises(ModelError, match=r"lack model\.norm\.weight"):
        base_model(tmp_path, LLAMA.tiny)


def test_a_tied_head_need_not_be_stored(tmp_path: Path) -> None:
    shapes = tiny_shapes(tmp_path)
    del shapes["lm_head.weight"]
    write_weights(tmp_path / "model.safetensors", shapes)
    assert base_model(tmp_path, {**LLAMA.tiny, "tie_word_embeddings": True}).facts.unknowns == ()


def test_packed_4_bit_weights_count_as_their_elements(tmp_path: Path) -> None:
    shapes = tiny_shapes(tmp_path)
    packed = {name: (rows[0] * rows[1] // 2, 1) for name, rows in shapes.items() if "_proj" in name}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}))
    plain = {name: rows for name, rows in shapes.items() if name not in packed}
    write_weights(tmp_path / "a.safetensors", packed, dtype="U8")
    write_weights(tmp_path / "b.safetensors", plain, dtype="BF16")
    quantised = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    quantised["quantization_config"]["bnb_4bit_quant_type"] = "nf4"
    facts = base_model(tmp_path, {**LLAMA.tiny, **quantised}).facts
    unquantised = base_model(write_config(tmp_path / "plain", LLAMA.tiny), LLAMA.tiny).facts
    assert facts.stored_quantization == "nf4"
    assert facts.num_parameters == unquantised.num_parameters


BROKEN_HEADERS: dict[str, tuple[Mapping[str, Any], int]] = {
    "hole": ({"a": ONE, "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]}}, 12),
    "overlap": ({"a": ONE, "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}}, 6),
    "bytes too many": ({"a": ONE}, 9),
    "do not fit its shape": ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, 4),
    "not known": ({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}, 4),
    "without a valid": ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, 4),
    "a valid type": ({"a": {"dtype": "F32"}}, 0),
}


@pytest.mark.parametrize("message", BROKEN_HEADERS)
def test_a_broken_header_is_refused(message: str, tmp_path: Path) -> None:
    header, size = BROKEN_HEADERS[message]
    with pytest.raises(ModelError, match=message):
        read_header(write_raw_weights(tmp_path / "model.safetensors", header, bytes(size)))


def test_a_header_of_many_gigabytes_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes((2**40).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelError, match="the limit is"):
        read_header(file)
