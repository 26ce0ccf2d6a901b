"""`tuner export` lists, writes and proves; what is wrong is one line and exit code 2."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.engine.exporting.made_adapters import write_adapter, write_strong_model
from tui_tuner.cli.command_line import app
from tui_tuner.exports import ExportFinished, ExportPlanned, export_event_from_json


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    return write_adapter(folder / "adapter", write_strong_model(folder / "base"))


def tuner_export(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_dry_run_lists_files_and_writes_nothing(adapter: Path, tmp_path: Path) -> None:
    done = tuner_export(adapter, "--to", "merged,gguf,hub", "--repo", "me/it", "--out", tmp_path / "out", "--dry-run")
    assert done.exit_code == 0
    assert all(text in done.stdout for text in ("model.safetensors", "adapter-q8_0.gguf", "huggingface.co/me/it"))
    assert not list(tmp_path.iterdir())


def test_json_is_one_event_a_line(adapter: Path, tmp_path: Path) -> None:
    done = tuner_export(adapter, "--to", "adapter", "--out", tmp_path / "out", "--json")
    events = [export_event_from_json(line) for line in done.stdout.splitlines()]
    assert isinstance(events[0], ExportPlanned)
    assert isinstance(events[-1], ExportFinished)


def test_several_kinds_get_a_folder_each(adapter: Path, tmp_path: Path) -> None:
    done = tuner_export(adapter, "--to", "adapter", "--to", "lora-gguf", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["adapter", "lora-gguf"]
    ledger = json.loads((tmp_path / "out" / "lora-gguf" / "export.json").read_text())
    assert [file["name"] for file in ledger["files"]] == ["README.md", "adapter-lora.gguf"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "onnx"], "--to"),
        (["--to", "gguf", "--quantization", "q9"], "no GGUF type"),
        (["--to", "merged", "--base", "8bit"], "--base"),
        (["--to", "hub"], "--repo"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(adapter: Path, arguments: list[str], message: str) -> None:
    done = tuner_export(adapter, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
