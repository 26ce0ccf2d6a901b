"""Whatever lies in a file, a reader returns or raises a `TunerError`: it neither crashes nor hangs."""

import contextlib
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.mutations import damaged_bytes, damaged_json, damaged_value, fuzzed
from tests.planning.model_folders import base_model
from tests.plans import scripted_events
from tui_tuner.controls import Controls
from tui_tuner.data.certificate import Certificate, read_certificate
from tui_tuner.data.formats import convert_row, detect_shape
from tui_tuner.data.rows import BadRow, RowRef
from tui_tuner.data.sources.files import find_files
from tui_tuner.data.sources.text_files import parse_line
from tui_tuner.engine.checkpoints.choosing import newest_whole
from tui_tuner.engine.checkpoints.manifest import write_manifest
from tui_tuner.engine.exporting.gguf_files.reading import read_tensors
from tui_tuner.errors import ModelError, TunerError
from tui_tuner.hosting.mailbox import MailboxReader
from tui_tuner.journal import list_runs, read_events, read_state
from tui_tuner.planning.adapters.plan import plan_adapter
from tui_tuner.planning.inheriting.origin import logged_loss, read_origin
from tui_tuner.planning.inheriting.reading import read_adapter
from tui_tuner.planning.inheriting.recipe import inherit
from tui_tuner.planning.safetensors_header import read_header
from tui_tuner.planning.weights import read_weights
from tui_tuner.recipe import AdapterSection, DataSource, Recipe, check_recipe, parse_recipe, recipe_to_toml

LLAMA = {
    "model_type": "llama", "vocab_size": 264, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": False, "max_position_embeddings": 512,
}  # fmt: skip
ADAPTER: dict[str, Any] = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "target_modules": ["q_proj"], "bias": "none",
    "modules_to_save": ["lm_head"], "layers_to_transform": [0, 1], "use_rslora": True, "exclude_modules": [],
    "rank_pattern": {"layers.0.self_attn.q_proj": 4}, "alpha_pattern": {"q_proj": 16},
}  # fmt: skip
SHAPES = {
    "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 32),
    "base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight": (32, 4),
    "base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight": (4, 32),
    "base_model.model.model.layers.1.self_attn.q_proj.lora_B.weight": (32, 4),
    "base_model.model.lm_head.weight": (264, 32),
}
MANIFEST: dict[str, Any] = {
    "base": {"source": "m", "fingerprint": "f", "quantization": "none", "dtype": "float32"},
    "learning_rates": {"adapter": 1e-4, "embedding": 1e-5, "norm": 1e-4, "lora_plus_ratio": 1.0},
    "data_hash": "d", "template_hash": "t", "held_out": {"step": 3, "loss": 1.5}, "files": {},
}  # fmt: skip
ROWS = [
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}]},
    {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ok"}]},
    {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": '{"a": 1}'}}]}]},
    {"instruction": "a", "input": "b", "output": "c"},
    {"prompt": "a", "completion": "b"},
    {"prompt": [{"role": "user", "content": "a"}], "chosen": [], "rejected": []},
]
RECIPE: dict[str, Any] = {
    "model": {"source": "m", "adapter": "a"}, "adapter": {"rank": 4, "targets": ["q_proj"], "layers": [0]},
    "data": {"sources": [{"path": "x.jsonl", "columns": {"prompt": "q"}, "weight": 2.0}], "max_length": 64},
    "training": {"max_steps": 4}, "output": {"trackers": ["tensorboard"]},
}  # fmt: skip


def header(shapes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    entries, end = {}, 0
    for name, (rows, columns) in shapes.items():
        entries[name] = {"dtype": "F32", "shape": [rows, columns], "data_offsets": [end, end + 4 * rows * columns]}
        end += 4 * rows * columns
    return entries


def weights_file(entries: bytes, size: int) -> bytes:
    return struct.pack("<Q", len(entries)) + entries + bytes(size)


GOOD_WEIGHTS = weights_file(json.dumps(header(SHAPES)).encode(), 4 * sum(a * b for a, b in SHAPES.values()))


@fuzzed
@given(content=damaged_bytes(recipe_to_toml(Recipe.model_validate_json(json.dumps(RECIPE))).encode()))
def test_recipe_text(content: bytes) -> None:
    with contextlib.suppress(TunerError):
        parse_recipe(content.decode("utf-8", "surrogateescape"))


@fuzzed
@given(tables=damaged_value(RECIPE))
def test_recipe_tables(tables: Any) -> None:
    with contextlib.suppress(TunerError):
        check_recipe(tables)


@fuzzed
@given(override=st.text(max_size=40) | damaged_bytes(b"data.sources[0].path=x").map(lambda one: one.decode("latin-1")))
def test_recipe_overrides(override: str) -> None:
    with contextlib.suppress(TunerError):
        parse_recipe('[model]\nsource = "m"\n[[data.sources]]\npath = "x"\n', (override,))


@fuzzed
@given(content=st.sampled_from(ROWS).flatmap(damaged_json))
def test_data_rows(content: bytes) -> None:
    row = parse_line(content, RowRef(path="rows.jsonl", line=1))
    if isinstance(row, BadRow):
        return
    with contextlib.suppress(TunerError):
        convert_row(row, detect_shape([row], DataSource(path="rows.jsonl")))


@fuzzed
@given(state=damaged_json({"_data_files": [{"filename": "data.arrow"}], "_split": "train"}))
def test_descriptions_of_saved_data_sets(state: bytes, tmp_path: Path) -> None:
    (tmp_path / "state.json").write_bytes(state)
    with contextlib.suppress(TunerError):
        find_files(DataSource(path=str(tmp_path)))


@fuzzed
@given(content=damaged_bytes(GOOD_WEIGHTS))
def test_safetensors_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with contextlib.suppress(TunerError):
        read_header(tmp_path / "x.safetensors")


@fuzzed
@given(entries=damaged_json(header(SHAPES)))
def test_safetensors_headers(entries: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(weights_file(entries, 256))
    with contextlib.suppress(TunerError):
        read_header(tmp_path / "x.safetensors")


@fuzzed
@given(index=damaged_json({"metadata": {}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}))
def test_weight_indices_stay_in_their_folder(index: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors.index.json").write_bytes(index)
    (tmp_path / "outside.safetensors").write_bytes(GOOD_WEIGHTS)
    with contextlib.suppress(TunerError):
        assert all((folder / name).parent == folder for name in read_weights(folder).files)


@fuzzed
@given(config=damaged_json(LLAMA))
def test_model_configs(config: bytes, tmp_path: Path) -> None:
    from tui_tuner.planning.config_json import read_config

    (tmp_path / "config.json").write_bytes(config)
    with contextlib.suppress(TunerError):
        read_config(tmp_path)


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    (tmp_path / "adapter_config.json").write_text(json.dumps(ADAPTER))
    (tmp_path / "adapter_model.safetensors").write_bytes(GOOD_WEIGHTS)
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    return tmp_path


def go_on_from(folder: Path) -> None:
    with contextlib.suppress(TunerError):
        base = base_model(folder / "base", LLAMA)
        plan_adapter(AdapterSection(), base, read_adapter(folder))


def test_the_undamaged_adapter_is_planned(adapter: Path) -> None:
    plan = plan_adapter(AdapterSection(), base_model(adapter / "base", LLAMA), read_adapter(adapter))
    assert plan.num_trainable == 2 * 256 + 8448


@fuzzed
@given(config=damaged_json(ADAPTER))
def test_adapter_configs(config: bytes, adapter: Path) -> None:
    (adapter / "adapter_config.json").write_bytes(config)
    go_on_from(adapter)


@fuzzed
@given(entries=damaged_json(header(SHAPES)))
def test_adapter_tensor_names(entries: bytes, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(weights_file(entries, len(GOOD_WEIGHTS)))
    go_on_from(adapter)


@fuzzed
@given(manifest=damaged_json(MANIFEST), state=damaged_json({"log_history": [{"eval_loss": 1.5, "step": 3}]}))
def test_manifests_of_adapters(manifest: bytes, state: bytes, adapter: Path) -> None:
    (adapter / "manifest.json").write_bytes(manifest)
    (adapter / "trainer_state.json").write_bytes(state)
    recipe = Recipe.model_validate_json(json.dumps(RECIPE | {"model": {"source": "m", "adapter": str(adapter)}}))
    for read in (lambda: inherit(recipe, adapter), lambda: read_origin(adapter), lambda: logged_loss(adapter, None)):
        with contextlib.suppress(TunerError):
            read()


@fuzzed
@given(tokenizer=damaged_json({"added_tokens": [{"id": 3, "content": "x"}]}))
def test_tokenizers_beside_adapters(tokenizer: bytes, adapter: Path) -> None:
    (adapter / "tokenizer.json").write_bytes(tokenizer)
    go_on_from(adapter)


EVENTS = [json.loads(event.model_dump_json()) for event in scripted_events(steps=2)]


@fuzzed
@given(lines=st.lists(st.sampled_from(EVENTS).flatmap(damaged_json), min_size=1, max_size=3))
def test_journals(lines: list[bytes], tmp_path: Path) -> None:
    run = tmp_path / "one"
    run.mkdir(exist_ok=True)
    (run / "events.jsonl").write_bytes(json.dumps(EVENTS[0]).encode() + b"\n" + b"\n".join(lines) + b"\n")
    for read in (lambda: list(read_events(run)), lambda: read_state(run), lambda: list_runs(tmp_path)):
        with contextlib.suppress(TunerError):
            read()


@fuzzed
@given(wish=damaged_json({"action": "learning_rate", "value": 0.5}))
def test_control_messages(wish: bytes, tmp_path: Path) -> None:
    mailbox = tmp_path / "mailbox"
    mailbox.mkdir(exist_ok=True)
    (mailbox / "0-wish.json").write_bytes(wish)
    controls = Controls()
    MailboxReader(mailbox, controls).empty()
    assert all(request.value is None or 0 < request.value < float("inf") for request in controls.poll())


CERTIFICATE = Certificate(
    tokenizer="t", template="c", data="d", masking_code="m", train_on="assistant", max_length=64, over_length="cut",
    packing=True, num_rows=3, num_evaluation_rows=1, labels="l", evaluation_labels="e",
)  # fmt: skip


@fuzzed
@given(content=damaged_json(json.loads(CERTIFICATE.model_dump_json())))
def test_certificates(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "certificate.json").write_bytes(content)
    with contextlib.suppress(TunerError):
        read_certificate(tmp_path / "certificate.json")


@fuzzed
@given(manifest=damaged_json({"format": 1, "step": 1, "files": {"a.json": {"size": 2, "sha256": "x"}}}))
def test_checkpoint_manifests(manifest: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "step-000001"
    folder.mkdir(exist_ok=True)
    (folder / "a.json").write_text("{}")
    (folder / "checkpoint.json").write_bytes(manifest)
    found, damaged = newest_whole(tmp_path)
    assert found is None
    assert len(damaged) == 1


@fuzzed
@given(state=damaged_json({"step": 1, "position": {"epoch": 0}}), identity=damaged_json({"plan": EVENTS[0]["plan"]}))
def test_checkpoint_states(state: bytes, identity: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "step-000001"
    folder.mkdir(exist_ok=True)
    (folder / "training_state.json").write_bytes(state)
    (folder / "identity.json").write_bytes(identity)
    (folder / "checkpoint.json").unlink(missing_ok=True)
    write_manifest(folder, 1)
    assert newest_whole(tmp_path)[0] is None


def gguf_bytes() -> bytes:
    """A header with a text, an array of texts and one tensor, and its data."""
    key = struct.pack("<Q1sIQ1s", 1, b"a", 8, 1, b"x") + struct.pack("<Q1sIIQQ1s", 1, b"b", 9, 8, 1, 1, b"y")
    info = struct.pack("<Q1sIQQIQ", 1, b"t", 2, 32, 1, 0, 0)
    header = struct.pack("<4sIQQ", b"GGUF", 3, 1, 2) + key + info
    return header.ljust(-(-len(header) // 32) * 32, b"\0") + bytes(128)


def test_the_undamaged_gguf_is_read(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(gguf_bytes())
    assert read_tensors(tmp_path / "model.gguf")["t"].shape == (1, 32)


@fuzzed
@given(content=damaged_bytes(gguf_bytes()))
def test_gguf_files(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(content)
    with contextlib.suppress(TunerError):
        read_tensors(tmp_path / "model.gguf")


@pytest.mark.parametrize("length", [2**31, 2**63])
def test_a_gguf_that_announces_more_than_it_has_is_refused_unread(length: int, tmp_path: Path) -> None:
    announced = struct.pack("<4sIQQ", b"GGUF", 3, 0, 1) + struct.pack("<Q1sIIQ", 1, b"k", 9, 9, length)
    (tmp_path / "model.gguf").write_bytes(announced)
    with pytest.raises(ModelError, match="values and has"):
        read_tensors(tmp_path / "model.gguf")
