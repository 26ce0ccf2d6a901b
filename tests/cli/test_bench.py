"""`tuner bench` from outside."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, TUNER
from tui_tuner.cli import main
from tui_tuner.hardware import probe_hardware

Bench = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    """Runs the command in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["tuner", "bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_the_starter_is_measured_without_a_recipe(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_tuner.engine.bench.limit.SECONDS_EACH", 0.0)
    code, shown, said = bench("--steps", "2", "--warm-up", "1", "--json", "figures.json")
    assert code == 0
    for word in ("tok/s", "of it reached", "measured / plan", "first step after", "at step 1"):
        assert word in shown
    assert "the machine's limit" in said
    assert json.loads((tmp_path / "figures.json").read_text())["tokens_per_second"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--case", "1b"], "--case: needs --peers beside it"),
        (["--exact"], "--exact: needs --peers beside it"),
        (["--rounds", "2"], "--rounds: needs --peers beside it"),
        (["--shape", "9b"], "--shape: is '9b'; 8b, 1b, 0.5b, small, tiny is allowed"),
        (["recipe.toml", "--shape", "1b"], "--shape: and a recipe are both given; keep one"),
        (["--json", "no/such/folder.json"], "no/such/folder.json cannot be written: there is no such folder"),
        (["--peers", "--json", "no/such/folder.json"], "no/such/folder.json cannot be written"),
        (["--peers", "recipe.toml"], "RECIPE: does not go with --peers"),
        (["--peers", "--case", "9b"], "--case: '9b' is no case"),
        (["--peers", "--peer", "axolotl"], "--peer: is 'axolotl'; hf, liger, unsloth is allowed"),
        (["--peers", "--peer-python", "python3"], "--peer-python: is 'python3'; write PEER=COMMAND"),
        (["--peers", "--peer-python", "hf=no-such-python"], "no-such-python of hf is no program on this machine"),
        (["--peers", "--model", "nowhere"], "--model: nowhere does not exist"),
    ],
)
def test_options_that_make_no_sense_are_named(bench: Bench, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, shown, said = bench(*arguments)
    assert (code, shown) == (2, "")
    assert message in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["--shape", "8b"], ["--peers", "--case", "tiny-keep,8b-fp8-keep"]])
def test_a_large_model_is_not_begun_on_a_processor(bench: Bench, tmp_path: Path, arguments: list[str]) -> None:
    if probe_hardware().gpus:
        pytest.skip("there is a GPU")
    code, shown, said = bench(*arguments)
    assert (code, shown) == (2, "")
    assert "A random model of shape 8b needs a GPU, and there is none here." in said
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_table_is_not_overwritten(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "peers.json").write_text("mine")
    code, _, said = bench("--peers", "--case", "tiny-keep", "--out", ".")
    assert code == 2
    assert "is no table of tuner" in said
    assert (tmp_path / "peers.json").read_text() == "mine"


def test_a_signal_leaves_neither_processes_nor_files(tmp_path: Path) -> None:
    command = [*TUNER, "bench", "--peers", "--case", "tiny-keep"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "tiny-keep: model and rows\n"
        wait_for(lambda: any(tmp_path.glob("tuner-bench-*/model-tiny.log")))
        process.terminate()
        process.wait(120)
    assert process.returncode == 128 + signal.SIGTERM
    assert not working_in(tmp_path)
    assert not list(tmp_path.iterdir())


def working_in(folder: Path) -> set[int]:
    """Processes whose working directory is the folder or in it."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if folder in (place := link.resolve(), *place.parents):
                found.add(int(link.parent.name))
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.nightly
def test_peers_are_compared_and_those_that_are_not_there_are_listed(bench: Bench, tmp_path: Path) -> None:
    options = ("--steps", "2", "--warm-up", "1", "--out", "out", "--peer", "hf,unsloth")
    code, shown, _ = bench("--peers", "--case", "tiny-keep", *options)
    assert code == 0
    rows = {row["system"]: row for row in json.loads((tmp_path / "out" / "peers.json").read_text())[0]["rows"]}
    assert rows["tuner"]["status"] == rows["HF + PEFT"]["status"] == "done"
    assert rows["HF + PEFT"]["ratios"]["tuner"] > 0
    assert rows["tuner"]["gradient_cosine"] > 0.9999
    assert rows["Unsloth"]["status"] == "absent"
    assert (tmp_path / "out" / "peers.md").read_text() in shown
