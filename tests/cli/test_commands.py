"""The commands from outside: their output, their errors on stderr, and their exit codes."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, TUNER
from tests.plans import llama_plan, scripted_events
from tui_tuner.cli import main
from tui_tuner.journal import RunJournal
from tui_tuner.recipe.reference import recipe_schema


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Tuner = Callable[..., Done]


@pytest.fixture
def tuner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuner:
    """Runs `tuner` with arguments in an empty folder that is its home as well."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["tuner", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder in which one run went well."""
    with RunJournal.create(tmp_path / "runs", "20260801-llama", "", llama_plan()) as journal:
        for event in scripted_events():
            journal.append(event)
    return tmp_path


def test_tuner_alone_prints_its_help_with_the_exit_codes(tuner: Tuner) -> None:
    done = tuner()
    assert done.returncode == 0
    assert "Exit codes: 0 done" in done.stdout
    for name in ("plan", "labels", "train", "demo", "chat", "runs", "show", "models", "doctor", "bench", "schema"):
        assert f"\n  {name}" in done.stdout


def test_version_is_one_line(tuner: Tuner) -> None:
    assert tuner("--version").stdout.split()[0] == "tuner"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["plan", "nothing.toml"], "error: nothing.toml does not exist\n"),
        (["train", "nothing.toml"], "error: nothing.toml does not exist\n"),
        (["show", "x"], "error: There is no run 'x' in runs.\n  try: `tuner runs --folder runs` lists them.\n"),
        (["show", "last"], "error: There are no runs in runs.\n  try: `tuner demo` makes one in about a minute.\n"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(
    tuner: Tuner, arguments: list[str], message: str, tmp_path: Path
) -> None:
    done = tuner(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


def test_a_misspelt_command_is_told(tuner: Tuner) -> None:
    done = tuner("trian")
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_all_problems_of_a_recipe_are_listed_one_by_one(tuner: Tuner, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[model]\nsource = "m"\n[adapter]\nrank = 0\nalpah = 1\n')
    done = tuner("train", "r.toml", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(":")[2].strip() for line in done.stderr.splitlines()] == [
        "adapter.rank",
        "adapter.alpah",
        "data",
    ]


@pytest.mark.usefixtures("runs")
def test_runs_lists_and_is_empty_without_any(tuner: Tuner) -> None:
    assert "20260801-llama" in tuner("runs").stdout
    assert "`tuner demo`" in tuner("runs", "--folder", "other").stdout


@pytest.mark.usefixtures("runs")
def test_runs_and_show_speak_json(tuner: Tuner) -> None:
    (run,) = json.loads(tuner("runs", "--json").stdout)
    assert (run["id"], run["state"], run["step"]) == ("20260801-llama", "completed", 40)
    shown = json.loads(tuner("show", "last", "--json").stdout)
    assert shown["summary"]["id"] == "20260801-llama"
    assert shown["proof"]["passed"] is True
    assert len(shown["losses"]["points"]) == 40


@pytest.mark.usefixtures("runs")
def test_show_draws_plan_curve_samples_and_proof(tuner: Tuner) -> None:
    text = tuner("show", "2026").stdout
    for word in ("Model", "Adapter", "Memory", "Loss", "●", "Samples", "Proof", "✓ completed at step 40"):
        assert word in text
    assert "\x1b" not in text


def test_a_terminal_gets_colours(runs: Path) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(
        [*TUNER, "runs"], cwd=runs, stdout=theirs, stderr=theirs, check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)
    assert b"\x1b[" in os.read(ours, 100_000)


def test_schema_prints_the_schema(tuner: Tuner) -> None:
    assert json.loads(tuner("schema").stdout) == recipe_schema()


def test_doctor_reports_every_check_and_exits_by_them(tuner: Tuner) -> None:
    done = tuner("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert {
        "tuner",
        "torch",
        "peft",
        "GPU",
        "CUDA",
        "bitsandbytes",
        "Triton",
        "runs folder",
        "model cache",
        "terminal",
    } <= set(checks)
    assert all(check["fix"] for check in checks.values() if check["status"] != "ok")
    assert done.returncode == int(any(check["status"] == "fail" for check in checks.values()))


def test_models_of_an_empty_cache_says_where_it_looked(tuner: Tuner, tmp_path: Path) -> None:
    done = tuner("models")
    assert done.returncode == 0
    assert str(tmp_path) in done.stdout.replace("\n", "")


def test_a_stream_that_is_not_utf8_is_no_error(runs: Path) -> None:
    done = subprocess.run(
        [*TUNER, "show", "last"], cwd=runs, capture_output=True, check=False,
        env={"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "HOME": str(runs)},
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout.isascii()


def test_every_command_and_exit_code_is_in_the_docs(tuner: Tuner) -> None:
    docs = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name in ("plan", "labels", "train", "demo", "chat", "runs", "show", "models", "doctor", "bench", "schema"):
        assert f"## `tuner {name}" in docs
        options = set(re.findall(r"--[a-z-]+", tuner(name, "--help").stdout))
        assert all(f"`{option}" in docs for option in options - {"--help"}), name
    assert all(f"| {code} |" in docs for code in (0, 1, 2, 3, 4, 70, 129, 130, 143))
