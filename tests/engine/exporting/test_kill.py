"""kill -9 at random moments of an export: under its name lies the whole export, or nothing at all."""

import hashlib
import json
import os
import random
import time
from pathlib import Path

import pytest

from tests.engine.checkpoints.faults import FORKS, exit_code
from tests.engine.exporting.made_adapters import write_adapter, write_strong_model
from tui_tuner.engine.exporting.export import export
from tui_tuner.engine.exporting.target_folder import new_folder
from tui_tuner.exports import ExportKind, ExportRequest

KINDS = (ExportKind.MERGED, ExportKind.GGUF)
LONGER = 1.2
"""Times what an export takes undisturbed: the last moments are drawn, too."""


def write(adapter: str, out: str) -> None:
    """Both kinds, over what lies there."""
    for _ in export(ExportRequest(source=adapter, kinds=KINDS, out=out, quantization="f16", replaces=True)):
        pass


def is_whole(folder: Path) -> bool:
    """Whether everything that the export's own ledger names is there as it was written."""
    files = json.loads((folder / "export.json").read_text())["files"]
    return bool(files) and all(
        hashlib.sha256((folder / one["name"]).read_bytes()).hexdigest() == one["sha256"] for one in files
    )


def run(adapter: Path, out: Path, kill_after: float | None) -> float:
    """One export, killed or not; returns how long it took."""
    started = time.monotonic()
    process = FORKS.Process(target=write, args=(str(adapter), str(out)))
    process.start()
    process.join(kill_after)
    if process.is_alive():
        process.kill()
    assert exit_code(process) in (0, -9)
    return time.monotonic() - started


@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.nightly)])
def test_an_export_that_is_killed_leaves_all_of_it_or_nothing(kills: int, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "adapter", write_strong_model(tmp_path / "base"))
    out, draw = tmp_path / "out", random.Random(os.environ.get("KILL_SEED", 11))
    seconds = run(adapter, out, None)
    for _ in range(kills):
        run(adapter, out, draw.uniform(0.0, LONGER * seconds))
        assert all(is_whole(folder) for folder in out.iterdir() if not folder.name.startswith("."))
    run(adapter, out, None)
    assert sorted(path.name for path in out.iterdir()) == ["gguf", "merged"]
    assert all(map(is_whole, out.iterdir()))


def test_an_earlier_export_comes_back_where_its_successor_died_in_its_place(tmp_path: Path) -> None:
    dead = FORKS.Process(target=time.time)
    dead.start()
    dead.join()
    aside = tmp_path / f".merged.{dead.pid}.old"
    aside.mkdir()
    (aside / "export.json").touch()
    with new_folder(tmp_path / "merged"):
        assert (tmp_path / "merged" / "export.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
