"""What can go wrong on the way leaves nothing half-made under a name, and says what it was."""

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.engine.exporting.made_adapters import exported, of, write_adapter, write_strong_model
from tests.engine.tiny_runs import train
from tests.tiny import write_tiny_model
from tui_tuner.engine.exporting.export import export
from tui_tuner.engine.exporting.target_folder import check_target
from tui_tuner.errors import AdapterError, MachineError
from tui_tuner.exports import ExportKind, ExportProof, ExportRequest, ExportWarning

MERGING = '"stage":"merging"'
BIG: dict[str, Any] = {
    "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 9, "vocab_size": 8_000, "head_dim": 64,
    "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": True,
}  # fmt: skip
STREAMING = """
import sys, torch
from pathlib import Path
from tui_tuner.engine.exporting.model_weights import MergeTally
from tui_tuner.engine.exporting.merged import chosen_weights
from tui_tuner.engine.exporting.source import open_source
from tui_tuner.engine.exporting.tensor_files import write_tensors
from tui_tuner.exports import ExportRequest

def memory(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))

source = open_source(ExportRequest(source=sys.argv[1], kinds=("merged",)))
weights = chosen_weights(source, "16bit", "cpu")
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew here
before = memory("VmRSS")
for file, entries in weights.files:
    write_tensors(Path(sys.argv[2]) / file, entries, lambda name: weights.read(name, MergeTally()))
print(memory("VmHWM") - before, weights.num_bytes)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tmp_path_factory.mktemp("run")).folder


def test_streaming_needs_far_less_memory_than_the_model_has_bytes(tmp_path: Path) -> None:
    base = write_tiny_model(tmp_path / "base", **BIG)
    adapter = write_adapter(tmp_path / "adapter", base)
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", STREAMING, str(adapter), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    grown, model_bytes = map(int, done.stdout.split())
    assert model_bytes > 150e6
    # The largest tensor, its float32 rows, and pages of the file that the system keeps mapped.
    assert grown < 0.5 * model_bytes


def test_full_disk_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    too_much = shutil.disk_usage(tmp_path).free
    with pytest.raises(MachineError, match="free, the export needs"):
        check_target(tmp_path / "merged", too_much, replaces=False)


def test_disk_that_fills_up_while_writing_leaves_nothing(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(MachineError, match="could not be written"):
            exported(adapter, ExportKind.MERGED, tmp_path / "merged")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_export_that_is_left_midway_leaves_nothing(tmp_path: Path) -> None:
    base = write_strong_model(tmp_path / "base")
    adapter = write_adapter(tmp_path / "adapter", base)
    stream = export(ExportRequest(source=str(adapter), kinds=(ExportKind.MERGED,), out=str(tmp_path / "merged")))
    next(event for event in stream if MERGING in event.model_dump_json())
    stream.close()  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base"]


def test_other_base_of_the_same_shape_is_refused_by_the_fingerprint(run: Path, tmp_path: Path) -> None:
    other = write_strong_model(tmp_path / "other")
    with pytest.raises(AdapterError, match="was trained on another base model"):
        exported(run, ExportKind.MERGED, tmp_path / "merged", base_model=str(other))


def test_flipped_bit_in_the_adapter_is_refused(run: Path, tmp_path: Path) -> None:
    adapter = shutil.copytree(run / "adapter", tmp_path / "adapter")
    path = adapter / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(AdapterError, match="its hash is not the manifest's"):
        exported(adapter, ExportKind.ADAPTER, tmp_path / "out")


def test_runs_own_rows_are_the_proof_and_probes_where_they_are_gone(run: Path, tmp_path: Path) -> None:
    (proof,) = of(ExportProof, exported(run, ExportKind.MERGED, tmp_path / "first"))
    rows = run.parent.parent / "rows.jsonl"
    rows.rename(rows.with_suffix(".gone"))
    events = exported(run, ExportKind.MERGED, tmp_path / "second")
    rows.with_suffix(".gone").rename(rows)
    assert "training rows" in proof.message
    assert "probe questions" in of(ExportWarning, events)[0].message


def test_merged_model_stops_where_trained_answers_ended(run: Path, tmp_path: Path) -> None:
    exported(run, ExportKind.MERGED, tmp_path / "merged")
    config = json.loads((tmp_path / "merged" / "generation_config.json").read_text())
    ends = json.loads((run / "adapter" / "manifest.json").read_text())["end_of_turn_ids"]
    assert set(ends) <= set(
        config["eos_token_id"] if isinstance(config["eos_token_id"], list) else [config["eos_token_id"]]
    )


def test_adapter_copy_holds_no_more_than_the_adapter_and_its_ledger(run: Path, tmp_path: Path) -> None:
    exported(run, ExportKind.ADAPTER, tmp_path / "out")
    copied = {path.name for path in (tmp_path / "out").iterdir()}
    assert copied == {path.name for path in (run / "adapter").iterdir()} | {"export.json"}
