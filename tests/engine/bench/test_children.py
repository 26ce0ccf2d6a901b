"""Processes of a comparison, with small programs in the place of a peer's Python."""

import sys
import time
from pathlib import Path

import pytest

from tui_tuner.engine.bench.peers import children as module
from tui_tuner.engine.bench.peers.children import Children, missing_python
from tui_tuner.engine.bench.peers.outside.peer_runner.job import Answer, Job


def job(system: str) -> Job:
    return Job(
        system=system, model="", base="f32", recompute="off", device="cpu", rows="", adapter="", result=""
    )  # fmt: skip


def measured(folder: Path, program: str, system: str = "hf") -> Answer:
    """`program`: Python that stands in for an interpreter and gets the script and the job as its arguments."""
    path = folder / "interpreter.py"
    path.write_text(program)
    return Children(folder, {system: f"env GREETING=hello {sys.executable} {path}"}).measure(job(system), "peer")


def test_a_command_with_an_environment_starts_the_peer(tmp_path: Path) -> None:
    program = """
import json, os, sys
job = json.load(open(sys.argv[2]))
json.dump({"status": "done", "note": os.environ["GREETING"], "tokens": [1, 2]}, open(job["result"], "w"))
"""
    answer = measured(tmp_path, program)
    assert (answer.status, answer.note, answer.tokens) == ("done", "hello", (1, 2))


def test_a_peer_that_dies_says_its_last_line(tmp_path: Path) -> None:
    answer = measured(tmp_path, "print('well'); raise SystemExit('no such kernel')")
    assert (answer.status, answer.reason) == ("failed", "exit code 1: no such kernel")


def test_an_earlier_answer_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "peer.answer.json").write_text('{"status": "done"}')
    assert measured(tmp_path, "raise SystemExit(3)").status == "failed"


def test_a_peer_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.5)
    began = time.monotonic()
    answer = measured(tmp_path, "import time; time.sleep(600)")
    assert (answer.status, answer.reason) == ("failed", "took more than 0 s")
    assert time.monotonic() - began < 60


def test_a_peer_that_cannot_be_imported_is_absent(tmp_path: Path) -> None:
    answer = Children(tmp_path, {}).measure(job("unsloth"), "peer")
    assert answer.status == "absent"
    assert "unsloth" in answer.reason


def test_a_program_that_is_not_there_is_known_before() -> None:
    assert missing_python("no-such-python -x") == "no-such-python"
    assert missing_python(f"env A=b {sys.executable}") == ""
