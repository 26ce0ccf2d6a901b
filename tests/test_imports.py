"""What each part loads, seen from a fresh interpreter: the front door opens without torch."""

import json
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "transformers", "triton", "peft", "bitsandbytes", "datasets", "accelerate"}
DRAWING = {"rich", "textual", "typer", "plotext"}
PARTS = (
    "errors",
    "safe_text",
    "recipe",
    "plan",
    "events",
    "controls",
    "hardware",
    "journal",
    "starter",
    "planning.run_plan",
    "hosting.launching",
    "hosting.watching",
    "hosting.in_process",
)
COMMANDS = (
    ["--help"], ["plan", "--help"], ["train", "--help"], ["chat", "--help"], ["schema"], ["runs"], ["show", "nothing"],
    ["attach"], ["stop", "nothing"], ["logs", "nothing"], ["train", "nothing.toml", "--detach"],
    ["doctor"], ["models"], ["plan", "nothing.toml"], ["train", "nothing.toml"],
    ["labels", "--help"], ["bench", "--help"], ["bench", "--shape", "9b"], ["bench", "--peers", "--case", "9b"],
    ["labels", "--model", "tui_tuner/starter/model", "--data", "tui_tuner/starter/held_out.jsonl"],
)  # fmt: skip
REPORT = "{name.partition('.')[0] for name in sys.modules}"
RUN_PARTS = f"""
import importlib, json, sys
loaded = {{}}
for part in {PARTS!r}:
    importlib.import_module("tui_tuner." + part)
    loaded[part] = sorted({REPORT})
sys.stderr.write("\\n" + json.dumps(loaded))
"""
RUN_COMMANDS = f"""
import json, sys
from tui_tuner.cli import main
loaded = {{}}
for arguments in {COMMANDS!r}:
    sys.argv = ["tuner", *arguments]
    try:
        main()
    except SystemExit:
        loaded[" ".join(arguments)] = sorted({REPORT})
sys.stderr.write("\\n" + json.dumps(loaded))
"""


def loaded_by(code: str) -> dict[str, set[str]]:
    """Top-level packages that are loaded after each part or command; they run one after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    return {name: set(packages) for name, packages in json.loads(done.stderr.splitlines()[-1]).items()}


def test_the_layers_below_load_neither_torch_nor_anything_that_draws() -> None:
    loaded = loaded_by(RUN_PARTS)
    assert {part: sorted(packages & (HEAVY | DRAWING)) for part, packages in loaded.items()} == {
        part: [] for part in PARTS
    }


def test_commands_that_load_no_model_load_no_torch() -> None:
    loaded = loaded_by(RUN_COMMANDS)
    assert len(loaded) == len(COMMANDS)
    assert {command: sorted(packages & HEAVY) for command, packages in loaded.items()} == {one: [] for one in loaded}
    assert not loaded["--help"] & {"rich", "pydantic", "plotext", "textual"}


def test_help_is_there_at_once() -> None:
    """0.16 s of processor and of wall time were measured; the best of three, for other work on this machine."""
    assert min(processor_seconds_of_help() for _ in range(3)) < 0.4


def processor_seconds_of_help() -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", "from tui_tuner.cli import main; main()"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
